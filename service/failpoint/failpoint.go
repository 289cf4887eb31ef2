// Package failpoint lets a test stop the program at a named step. Without the build tag "failpoint" [Hit] is empty and the
// compiler removes it; release builds therefore contain none of this.
//
// With the tag, the environment says what to do:
//
//	MINTREU_FAILPOINT=license-row=kill            the first hit of license-row ends the process as SIGKILL does
//	MINTREU_FAILPOINT=before-commit=kill@3        the third hit does
//	MINTREU_FAILPOINT=token-signed=sleep:2s       every hit waits two seconds
//	MINTREU_FAILPOINT=event-row=error             every hit panics with an [Injected]
//	MINTREU_FAILPOINT=a=kill@2,b=sleep:50ms       several
//	MINTREU_FAILPOINT_WHEN=/tmp/x/armed           hits count and act only while this file exists
//	MINTREU_FAILPOINT_LOG=/tmp/x/hits             each hit appends "name\n" to the file before it acts
//
// Steps that exist: request-read and answer-made of every operation, session-created, order-row, webhook-received, event-row, license-row, token-signed, outbox-row,
// before-commit, after-commit, mail-handed-over, download-signed, activation-row, usage-source-made,
// usage-source-read, usage-source-row, usage-event-row, usage-batch-row, usage-crossing-row (a part of a quota is kept as told, nobody told yet), usage-watch,
// webhook-sent, keys-moved, keyset-row, tokens-resigned; of work on many licenses, license-rows (licenses with their tokens and changes, their audit rows not:
// one hit a batch) and bulk-rows (the rows of a batch, its run not moved yet).
package failpoint

// Injected is what a hit panics with when it was told to fail; recovered at the edge it is an internal error like any other,
// which is what the step is tested for.
type Injected struct{ Name string }

// Error names the step.
func (e Injected) Error() string { return "failpoint: " + e.Name + " failed as told" }
