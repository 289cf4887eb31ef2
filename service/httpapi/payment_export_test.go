package httpapi

// Webhook is the webhook handler with a patience of the test's choice.
var Webhook = stripeWebhook
