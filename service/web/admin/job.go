package admin

import (
	"strconv"

	"github.com/mintreu/mintreu/service/jobs"
	"github.com/mintreu/mintreu/service/web/site"
	"github.com/mintreu/mintreu/service/web/ui"
)

func (p *pages) jobPages() []site.Page {
	back := func(string) ui.Link { return ui.Link{Href: "/admin/jobs", Name: "Jobs"} }
	request := func(id, reason string) jobs.Request {
		n, err := strconv.ParseInt(id, 10, 64)
		if err != nil {
			n = -1 // which no job has
		}
		return jobs.Request{ID: n, Reason: reason}
	}
	return append([]site.Page{get("jobs", "/admin/jobs", p.jobs)}, p.asked(
		action{name: "job_retry", path: "/admin/jobs/{id}/retry", spec: p.ops.RetryJob.Spec(), calm: true, back: back,
			title: "Run the job again", button: "Run it now", done: "The job runs as soon as a worker is free.",
			what: "It is tried at once. If it had used all its attempts, it gets one more.",
			do:   plain(func() op[jobs.Request, jobs.View] { return p.ops.RetryJob }, request)},
		action{name: "job_cancel", path: "/admin/jobs/{id}/cancel", spec: p.ops.CancelJob.Spec(), back: back,
			title: "Give the job up", button: "Give it up", done: "The job is given up.",
			what: "It is not tried again by itself. One that runs at this moment is told to stop. You can still run it again later.",
			do:   plain(func() op[jobs.Request, jobs.View] { return p.ops.CancelJob }, request)})...)
}

func jobStates() []ui.Option {
	return choices("Any state", "retryable", "discarded", "running", "available", "scheduled", "completed", "cancelled")
}

func (p *pages) jobs(v *site.Visit) error {
	list, err := p.ops.Jobs.Call(v.Ctx(), jobs.ListRequest{Page: page(v, 25), State: pick(v, "state", jobStates()), Kind: v.Query("kind")})
	if err != nil {
		return err
	}
	return v.Show(jobsPage(v.Frame("Jobs"), v.Filter(), list, next(v, list.Next), filtered(v), may(v, p.ops.RetryJob.Spec())))
}

// retriable and cancelable say what can be done with a job.
func retriable(j jobs.View) bool {
	return j.State == "retryable" || j.State == "discarded" || j.State == "cancelled" || j.State == "scheduled"
}

func cancelable(j jobs.View) bool {
	return j.State == "retryable" || j.State == "available" || j.State == "scheduled" || j.State == "running" || j.State == "pending"
}
