package httpapi

import (
	"net/http"
	"slices"

	"github.com/mintreu/mintreu/commerce/support"
	"github.com/mintreu/mintreu/licensing"
	"github.com/mintreu/mintreu/service/kit"
)

// SupportRoutes are the operations of tickets, canned replies and the FAQ. The bytes of attachments go through [SupportRaws].
func SupportRoutes(s *support.Service) []kit.Route {
	return slices.Concat(ticketRoutes(s), cannedRoutes(s), faqRoutes(s))
}

func ticketRoutes(s *support.Service) []kit.Route {
	const tag = "Tickets"
	answerers := []licensing.Role{licensing.RoleAdmin, licensing.RoleSupport}
	readers := append(slices.Clone(answerers), licensing.RoleAuditor)
	customers := kit.Allow{Anonymous: true, Customer: true, Members: true} // who is not signed in needs the ticket's access code
	desk := kit.Allow{Staff: answerers}
	return []kit.Route{
		kit.New(kit.Spec{Name: "ticket.create", Method: http.MethodPost, Path: "/v1/tickets", Tag: tag, Access: customers, CORS: true, Switch: licensing.SwitchSupport, Status: http.StatusCreated,
			Summary: "Ask for help", Detail: "Who is not signed in names an address, and reaches the ticket by the link that is mailed there."}, s.Create).Again(s.CreatedAgain),
		kit.New(kit.Spec{Name: "ticket.list", Method: http.MethodGet, Path: "/v1/tickets", Tag: tag, Access: kit.Allow{Customer: true, Staff: readers},
			Summary: "List tickets", Detail: "One's own, the newest first. To staff all of them, those whose customer waits longest first."}, s.List),
		kit.New(kit.Spec{Name: "ticket.get", Method: http.MethodGet, Path: "/v1/tickets/{id}", Tag: tag, Access: kit.Allow{Anonymous: true},
			Summary: "Read a ticket", Detail: "With its messages. Notes are for staff alone."}, s.Get),
		kit.New(kit.Spec{Name: "ticket.reply", Method: http.MethodPost, Path: "/v1/tickets/{id}/replies", Tag: tag, Access: customers, Switch: licensing.SwitchSupport,
			Summary: "Write in one's ticket", Detail: "Opens it again if it was solved or closed."}, s.Reply).Again(s.Again),
		kit.New(kit.Spec{Name: "ticket.close", Method: http.MethodPost, Path: "/v1/tickets/{id}/close", Tag: tag, Access: customers,
			Summary: "Close one's ticket"}, s.Close).Again(s.Again),
		kit.New(kit.Spec{Name: "ticket.answer", Method: http.MethodPost, Path: "/v1/tickets/{id}/answers", Tag: tag, Access: desk,
			Summary: "Answer a customer", Detail: "Mails the answer. Refused when somebody wrote in the ticket after the version that was looked at."}, s.Answer).Again(s.Again),
		kit.New(kit.Spec{Name: "ticket.note", Method: http.MethodPost, Path: "/v1/tickets/{id}/notes", Tag: tag, Access: desk,
			Summary: "Add a note", Detail: "For staff alone; the customer never sees it."}, s.Note).Again(s.Again),
		kit.New(kit.Spec{Name: "ticket.update", Method: http.MethodPatch, Path: "/v1/tickets/{id}", Tag: tag, Access: desk,
			Summary: "Change status, priority, assignee, subject or links"}, s.Update),
		kit.New(kit.Spec{Name: "ticket.queue", Method: http.MethodGet, Path: "/v1/ticket-queue", Tag: tag, Access: kit.Allow{Staff: readers},
			Summary: "Count what there is to do"}, s.Queue),
		kit.New(kit.Spec{Name: "support.inbound", Method: http.MethodPost, Path: "/v1/support/inbound", Tag: tag, Access: kit.Allow{Machine: "support:inbound"}, Switch: licensing.SwitchSupport, Body: 1 << 20,
			Summary: "Take in a mail", Detail: "For the mail server that receives ours. An answer from the address of who asked becomes a reply, anything else a new ticket; the same mail is taken once. Pass on only mail whose sender was checked."},
			s.Inbound).Again(s.InboundAgain),
	}
}

func cannedRoutes(s *support.Service) []kit.Route {
	const tag = "Canned replies"
	desk := kit.Allow{Staff: []licensing.Role{licensing.RoleAdmin, licensing.RoleSupport}}
	return []kit.Route{
		kit.New(kit.Spec{Name: "canned.create", Method: http.MethodPost, Path: "/v1/canned-replies", Tag: tag, Access: desk, Status: http.StatusCreated,
			Summary: "Keep a canned reply"}, s.CreateCanned).Again(s.CannedAgain),
		kit.New(kit.Spec{Name: "canned.list", Method: http.MethodGet, Path: "/v1/canned-replies", Tag: tag, Access: desk, Summary: "List canned replies"}, s.ListCanned),
		kit.New(kit.Spec{Name: "canned.change", Method: http.MethodPut, Path: "/v1/canned-replies/{id}", Tag: tag, Access: desk, Summary: "Change a canned reply"}, s.ChangeCanned),
		kit.New(kit.Spec{Name: "canned.drop", Method: http.MethodDelete, Path: "/v1/canned-replies/{id}", Tag: tag, Access: desk, Summary: "Remove a canned reply"}, s.DropCanned),
		kit.New(kit.Spec{Name: "canned.fill", Method: http.MethodGet, Path: "/v1/canned-replies/{id}/text", Tag: tag, Access: desk,
			Summary: "Fill a canned reply in for a ticket", Detail: "The text is plain, to be looked at and sent as an answer."}, s.Fill),
	}
}

func faqRoutes(s *support.Service) []kit.Route {
	const tag = "FAQ"
	const fresh = "public, max-age=30"
	anyone := kit.Allow{Anonymous: true}
	writers := kit.Allow{Staff: []licensing.Role{licensing.RoleAdmin, licensing.RoleSupport, licensing.RoleCatalogue}}
	return []kit.Route{
		kit.New(kit.Spec{Name: "faq.list", Method: http.MethodGet, Path: "/v1/faq", Tag: tag, Access: anyone, CORS: true, Cache: fresh,
			Summary: "Search the FAQ", Detail: "Published articles with all of the words, those with all of them in the title first."}, s.FAQ),
		kit.New(kit.Spec{Name: "faq.get", Method: http.MethodGet, Path: "/v1/faq/{slug}", Tag: tag, Access: anyone, CORS: true, Cache: fresh,
			Summary: "Read an article of the FAQ"}, s.ReadFAQ),
		kit.New(kit.Spec{Name: "article.create", Method: http.MethodPost, Path: "/v1/faq-articles", Tag: tag, Access: writers, Status: http.StatusCreated,
			Summary: "Write an article"}, s.CreateArticle).Again(s.ArticleAgain),
		kit.New(kit.Spec{Name: "article.list", Method: http.MethodGet, Path: "/v1/faq-articles", Tag: tag, Access: writers, Summary: "List articles, published or not"}, s.ListArticles),
		kit.New(kit.Spec{Name: "article.get", Method: http.MethodGet, Path: "/v1/faq-articles/{id}", Tag: tag, Access: writers, Summary: "Read an article, published or not"}, s.GetArticle),
		kit.New(kit.Spec{Name: "article.change", Method: http.MethodPut, Path: "/v1/faq-articles/{id}", Tag: tag, Access: writers, Summary: "Change, publish or hide an article"}, s.ChangeArticle),
		kit.New(kit.Spec{Name: "article.drop", Method: http.MethodDelete, Path: "/v1/faq-articles/{id}", Tag: tag, Access: writers, Summary: "Remove an article"}, s.DropArticle),
	}
}
