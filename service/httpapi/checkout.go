package httpapi

import (
	"net/http"
	"strings"

	"github.com/mintreu/mintreu/commerce/checkout"
	"github.com/mintreu/mintreu/licensing"
	"github.com/mintreu/mintreu/service/kit"
)

// CheckoutRoutes are the operations of buying.
func CheckoutRoutes(s *checkout.Service) []kit.Route {
	const tag = "Checkout"
	anyone := kit.Allow{Anonymous: true}
	return []kit.Route{
		kit.New(kit.Spec{Name: "checkout.create", Method: http.MethodPost, Path: "/v1/checkouts", Tag: tag, Access: anyone, CORS: true,
			Switch: licensing.SwitchPayments, Status: http.StatusCreated, Summary: "Buy",
			Detail: "Makes an order of plans and quantities and answers with the page to pay on. Guests name an e-mail address and keep the access code."}, s.Create).Again(s.Again),
		kit.New(kit.Spec{Name: "checkout.get", Method: http.MethodGet, Path: "/v1/checkouts/{id}", Tag: tag, Access: anyone, CORS: true, Summary: "See where an order stands",
			Detail: "Asks the payment provider itself when the order is not finished. Once it is fulfilled, the license keys are here."}, s.Get),
		kit.New(kit.Spec{Name: "checkout.reveal", Method: http.MethodPost, Path: "/v1/checkouts/{id}/reveal", Tag: tag, Access: anyone, CORS: true,
			Summary: "Reveal the API keys of an order, once"}, s.Reveal).Again(s.RevealAgain),
		kit.New(kit.Spec{Name: "checkout.receipt", Method: http.MethodGet, Path: "/v1/checkouts/{id}/receipt", Tag: tag, Access: anyone, Summary: "Fetch the receipt of a paid order",
			Detail: "As base64 in JSON; receipt.html and receipt.pdf beside it are the files themselves, by access code."}, s.Receipt),
		kit.New(kit.Spec{Name: "checkout.credit-note", Method: http.MethodGet, Path: "/v1/checkouts/{id}/credit-note", Tag: tag, Access: anyone, Summary: "Fetch a credit note of an order",
			Detail: "As base64 in JSON; credit-note.html and credit-note.pdf beside it are the files themselves, by access code."}, s.CreditNote),
		kit.New(kit.Spec{Name: "checkout.resend", Method: http.MethodPost, Path: "/v1/checkouts/resend", Tag: tag, Access: kit.Allow{Anonymous: true, Members: true}, CORS: true, Status: http.StatusAccepted,
			Summary: "Mail a buyer the links to the orders", Detail: "The answer is the same whether anything was bought with the address. At most one mail in a quarter of an hour."}, s.Resend).Again(s.ResendAgain),
		kit.New(kit.Spec{Name: "checkout.redrive", Method: http.MethodPost, Path: "/v1/checkouts/{id}/redrive", Tag: tag,
			Access:  kit.Allow{Staff: []licensing.Role{licensing.RoleAdmin, licensing.RoleFinance, licensing.RoleSupport}},
			Summary: "Look at an order again", Detail: "Asks the payment provider again and does what follows. A parked order stays parked while payment and order differ, until a person says how it was dealt with."}, s.Redrive).Again(s.Redriven),
		kit.New(kit.Spec{Name: "order.resolve", Method: http.MethodPost, Path: "/v1/orders/{id}/resolve", Tag: "Orders",
			Access:  kit.Allow{Staff: []licensing.Role{licensing.RoleAdmin, licensing.RoleFinance}},
			Summary: "Say how a parked order was dealt with",
			Detail: "Ends its wait for a person, with the reason, which its buyer may read. Moves no money, and gives and takes nothing: a paid order is fulfilled then, any other closed. " +
				"Refunds and disputes are applied to it as ever, and money that is news parks it again. Saying the same again changes nothing."}, s.Resolve).Again(s.ResolveAgain),
	}
}

// ReceiptFiles serves the documents of an order to whoever has its access code, which is in the query because these are links in a mail; it opens
// this one order and nothing else:
//
//	GET /v1/checkouts/{id}/receipt.html, receipt.pdf
//	GET /v1/checkouts/{id}/credit-note.html, credit-note.pdf, each by ?number=
func ReceiptFiles(s *checkout.Service) []Raw {
	receipt := func(r *http.Request, format string) (checkout.ReceiptFile, error) {
		return s.Receipt(r.Context(), checkout.ReceiptRequest{ID: r.PathValue("id"), Access: r.URL.Query().Get("access"), Format: format})
	}
	credit := func(r *http.Request, format string) (checkout.ReceiptFile, error) {
		q := r.URL.Query()
		return s.CreditNote(r.Context(), checkout.CreditNoteRequest{ID: r.PathValue("id"), Number: q.Get("number"), Access: q.Get("access"), Format: format})
	}
	return []Raw{
		orderFile("checkout.receipt_html", "receipt", "html", receipt), orderFile("checkout.receipt_pdf", "receipt", "pdf", receipt),
		orderFile("checkout.credit-note_html", "credit-note", "html", credit), orderFile("checkout.credit-note_pdf", "credit-note", "pdf", credit),
	}
}

// orderFile serves one kind of document of an order in one format.
func orderFile(name, kind, format string, render func(*http.Request, string) (checkout.ReceiptFile, error)) Raw {
	return Raw{Name: name, Pattern: "GET /v1/checkouts/{id}/" + kind + "." + format, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		file, err := render(r, format)
		if err != nil {
			kit.WriteError(w, r, err)
			return
		}
		h := w.Header()
		h.Set("Content-Type", file.MediaType)
		h.Set("Cache-Control", "private, no-store")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'")
		h.Set("Content-Disposition", `inline; filename="`+kind+"-"+strings.ToLower(file.Number)+"."+format+`"`)
		_, _ = w.Write(file.Content)
	})}
}
