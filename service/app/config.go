package app

import (
	"errors"
	"fmt"
	"net"
	"net/mail"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/mintreu/mintreu/licensing"
	"github.com/mintreu/mintreu/service/db"
)

// Config is what a process is told. Every member is a flag, an environment variable MINTREU_… and a line of the configuration
// file; the tags name them. The zero value with defaults works: everything embedded, on loopback.
type Config struct {
	DataDir              string `help:"Directory of the database, the master key, files and the operator's socket. Default: mintreu-data here (the demo's: mintreu-demo)." placeholder:"DIR" env:"MINTREU_DATA_DIR" type:"path" group:"where"`
	PostgresURL          string `help:"PostgreSQL to use instead of the embedded SQLite: postgres://user@host/database." placeholder:"URL" env:"MINTREU_POSTGRES_URL" group:"where"`
	PostgresPasswordFile string `help:"File with the password for it, which a URL would show in the list of processes." placeholder:"FILE" env:"MINTREU_POSTGRES_PASSWORD_FILE" type:"path" group:"where"`
	Files                string `help:"Where uploaded files are kept: file:DIR, or s3://bucket/prefix?endpoint=https://host&region=name, which replicas share (credentials from AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY). Default: files in the data directory." placeholder:"URL" env:"MINTREU_FILES" group:"where"`
	MasterKeyFile        string `help:"File of the master key. Default: master.key in the data directory." placeholder:"FILE" env:"MINTREU_MASTER_KEY_FILE" type:"path" group:"where"`

	Addr             string   `help:"Address to listen on; port 0 takes a free one. Default: 127.0.0.1:8080." placeholder:"HOST:PORT" env:"MINTREU_ADDR" group:"listen"`
	OpsAddr          string   `help:"Address of metrics, profiles and alert rules; never the public one. \"off\" for none. Default: 127.0.0.1:9090." placeholder:"HOST:PORT" env:"MINTREU_OPS_ADDR" group:"listen"`
	BaseURL          string   `help:"URL under which customers reach the service. Default: http:// and the address." placeholder:"URL" env:"MINTREU_BASE_URL" group:"listen"`
	Issuer           string   `help:"iss of every signed document; set once, by the first start. Default: the base URL." placeholder:"URL" env:"MINTREU_ISSUER" group:"listen"`
	StorefrontOrigin []string `help:"Origins whose pages may call the catalogue and checkout." placeholder:"ORIGIN,…" env:"MINTREU_STOREFRONT_ORIGIN" group:"listen"`
	TrustedProxy     []string `help:"Networks whose X-Forwarded-For is believed." placeholder:"NETWORK,…" env:"MINTREU_TRUSTED_PROXY" group:"listen"`
	AuthorizeFrom    []string `help:"Networks whose proxies may ask whether an API key is good (forward authentication). Default: this machine, unless it is a trusted proxy." placeholder:"NETWORK,…" env:"MINTREU_AUTHORIZE_FROM" group:"listen"`

	Production       bool          `help:"Refuse what must not reach customers: sandbox, sample secrets, http base URL." env:"MINTREU_PRODUCTION" group:"how"`
	RedisURL         string        `help:"Redis for counters shared by replicas; a cluster by some of its nodes: redis://a:6379?addr=b:6379." placeholder:"URL" env:"MINTREU_REDIS_URL" group:"how"`
	RedisBudget      time.Duration `help:"How long a check waits for Redis before it follows its limit's degraded mode; thrice as long while Redis answered the one before." default:"10ms" placeholder:"TIME" env:"MINTREU_REDIS_BUDGET" group:"how"`
	Ceiling          int           `help:"Operations a second that one process takes, over all callers; it answers more with 429 and takes bursts of twice as many." default:"2000" placeholder:"N" env:"MINTREU_CEILING" group:"how"`
	SingleOperator   bool          `help:"The shop is run by one person: what needs a second person takes a delay of ten minutes instead." env:"MINTREU_SINGLE_OPERATOR" group:"how"`
	RequireStaffTOTP bool          `name:"require-staff-totp" help:"Keep staff out until they have turned one-time codes on." env:"MINTREU_REQUIRE_STAFF_TOTP" group:"how"`
	WebhookLoopback  bool          `help:"Send events to receivers on this machine too, over http: for development." env:"MINTREU_WEBHOOK_LOOPBACK" group:"how"`
	KeyPrefix        string        `help:"First word of API keys." default:"mtr" placeholder:"WORD" env:"MINTREU_KEY_PREFIX" group:"how"`
	ShopName         string        `help:"Name of the shop in mail and receipts." default:"Mintreu" placeholder:"NAME" env:"MINTREU_SHOP_NAME" group:"how"`
	ShopTagline      string        `help:"What the home page says below the shop's name." default:"Software that is yours to use: a license that works without a network, an API key that works at once, and a person who answers when you ask." placeholder:"TEXT" env:"MINTREU_SHOP_TAGLINE" group:"how"`
	TermsURL         string        `help:"Where the terms of sale are, to which buyers agree." placeholder:"URL" env:"MINTREU_TERMS_URL" group:"how"`
	PrivacyURL       string        `help:"Where the privacy policy is." placeholder:"URL" env:"MINTREU_PRIVACY_URL" group:"how"`
	ImprintURL       string        `help:"Where the imprint is: who runs the shop." placeholder:"URL" env:"MINTREU_IMPRINT_URL" group:"how"`
	SellerAddress    []string      `help:"Lines of the seller's address, as receipts name it." sep:";" placeholder:"LINE;…" env:"MINTREU_SELLER_ADDRESS" group:"how"`
	SellerEmail      string        `help:"Where buyers ask about a receipt." placeholder:"ADDRESS" env:"MINTREU_SELLER_EMAIL" group:"how"`
	SellerVATID      string        `name:"seller-vat-id" help:"VAT id of the seller, on receipts." placeholder:"ID" env:"MINTREU_SELLER_VAT_ID" group:"how"`
	SellerCountry    string        `help:"Country of the seller, two letters. In the EU, a business of another member country that gives its VAT id then owes the tax itself." placeholder:"COUNTRY" env:"MINTREU_SELLER_COUNTRY" group:"how"`
	Tax              string        `help:"none, or fixed: the rates of --tax-rate." enum:"none,fixed,stripe" default:"none" placeholder:"HOW" env:"MINTREU_TAX" group:"how"`
	TaxRate          []string      `help:"Tax rates in percent by the buyer's country; a country without one pays none." placeholder:"DE=19,FI=25.5,…" env:"MINTREU_TAX_RATE" group:"how"`
	TaxInclusive     bool          `help:"Prices include the tax instead of having it added." env:"MINTREU_TAX_INCLUSIVE" group:"how"`
	LogLevel         string        `help:"debug, info, warn or error." enum:"debug,info,warn,error" default:"info" placeholder:"LEVEL" env:"MINTREU_LOG_LEVEL" group:"how"`
	OTLPEndpoint     string        `help:"OpenTelemetry collector; traces are off without it." placeholder:"URL" env:"OTEL_EXPORTER_OTLP_ENDPOINT" group:"how"`

	StripeKeyFile           string `help:"File with the Stripe secret key. Without it payments go to the built-in sandbox." placeholder:"FILE" env:"MINTREU_STRIPE_KEY_FILE" type:"path" group:"payment"`
	StripeWebhookSecretFile string `help:"File with the webhook signing secret(s), one whsec_… a line, optionally followed by the instant it ends." placeholder:"FILE" env:"MINTREU_STRIPE_WEBHOOK_SECRET_FILE" type:"path" group:"payment"`
	StripeAccount           string `help:"Stripe account id; deliveries of another account are refused." placeholder:"ID" env:"MINTREU_STRIPE_ACCOUNT" group:"payment"`
	StripeURL               string `help:"Base URL of the Stripe API, for an emulator." placeholder:"URL" env:"MINTREU_STRIPE_URL" group:"payment"`

	SMTPURL          string `name:"smtp-url" help:"SMTP server, smtp://user@host:587 or smtps://…; without it mail is kept in the database." placeholder:"URL" env:"MINTREU_SMTP_URL" group:"mail"`
	SMTPPasswordFile string `name:"smtp-password-file" help:"File with the SMTP password." placeholder:"FILE" env:"MINTREU_SMTP_PASSWORD_FILE" type:"path" group:"mail"`
	MailFrom         string `help:"Sender of mail." default:"Mintreu <shop@localhost>" placeholder:"ADDRESS" env:"MINTREU_MAIL_FROM" group:"mail"`

	// Clock, IDs and Seams are for tests; zero values are the real ones.
	Clock licensing.Clock `kong:"-"`
	IDs   licensing.IDs   `kong:"-"`
	Seams Seams           `kong:"-"`
}

// Seams replace parts of a process in tests.
type Seams struct {
	// StripeKey, StripeSecret replace the files, for a sandbox that lives outside the process.
	StripeKey    string
	StripeSecret string
	// SweepEvery makes sweepers run at least this often; zero means their own intervals.
	SweepEvery time.Duration
	// Watch lays something over the database through which every statement of the services goes.
	Watch func(db.DB) db.DB
}

// Sandbox reports whether payments go to the built-in sandbox.
func (c Config) Sandbox() bool { return c.StripeKeyFile == "" && c.Seams.StripeKey == "" }

// Embedded reports whether the database is the SQLite file of the data directory.
func (c Config) Embedded() bool { return c.PostgresURL == "" }

// Socket is the operator's unix socket.
func (c Config) Socket() string { return filepath.Join(c.DataDir, "mintreu.sock") }

// sampleSecrets are values that documentation and templates show; production refuses them.
func sampleSecrets() []string {
	return []string{"whsec_test", "whsec_secret", "whsec_sample", "whsec_changeme", "sk_test_sample", "changeme", "password", "secret"}
}

// Check checks the configuration as a whole and names every fault at once, with what would be right.
func (c Config) Check() error {
	var faults []error
	bad := func(format string, args ...any) { faults = append(faults, fmt.Errorf(format, args...)) }
	if _, _, err := net.SplitHostPort(c.Addr); err != nil {
		bad("--addr %q: want host:port, for example 127.0.0.1:8080", c.Addr)
	}
	if c.OpsAddr != "off" {
		if _, _, err := net.SplitHostPort(c.OpsAddr); err != nil {
			bad("--ops-addr %q: want host:port or \"off\"", c.OpsAddr)
		}
		if c.OpsAddr == c.Addr && !strings.HasSuffix(c.Addr, ":0") {
			bad("--ops-addr is the public address; metrics and profiles need their own")
		}
	}
	if c.BaseURL != "" {
		if u, err := url.Parse(c.BaseURL); err != nil || u.Host == "" || (u.Scheme != "http" && u.Scheme != "https") || u.RawQuery != "" || u.Fragment != "" || strings.TrimSuffix(u.Path, "/") != "" {
			bad("--base-url %q: want https://host without a path", c.BaseURL)
		}
	}
	for _, o := range c.StorefrontOrigin {
		if u, err := url.Parse(o); err != nil || u.Host == "" || u.Path != "" || u.RawQuery != "" || u.User != nil {
			bad("--storefront-origin %q: want an exact origin such as https://shop.example", o)
		}
	}
	for name, link := range map[string]string{"--terms-url": c.TermsURL, "--privacy-url": c.PrivacyURL, "--imprint-url": c.ImprintURL} {
		if u, err := url.Parse(link); link != "" && (err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http") {
			bad("%s %q: want the address of a page such as https://shop.example/terms", name, link)
		}
	}
	for name, list := range map[string][]string{"--trusted-proxy": c.TrustedProxy, "--authorize-from": c.AuthorizeFrom} {
		if _, err := prefixes(list); err != nil {
			bad("%s: %w", name, err)
		}
	}
	if (c.StripeKeyFile == "") != (c.StripeWebhookSecretFile == "") {
		bad("--stripe-key-file and --stripe-webhook-secret-file belong together")
	}
	if _, err := c.taxRules(); err != nil {
		faults = append(faults, err)
	}
	if c.SellerEmail != "" {
		if a, err := mail.ParseAddress(c.SellerEmail); err != nil || a.Address != c.SellerEmail {
			bad("--seller-email %q: want an address such as billing@shop.example", c.SellerEmail)
		}
	}
	if c.RedisURL != "" && c.Embedded() {
		bad("--redis-url without --postgres-url: the embedded database has one process, which counts for itself")
	}
	if u, err := url.Parse(c.PostgresURL); !c.Embedded() && (err != nil || u.Scheme != "postgres" && u.Scheme != "postgresql" || strings.Trim(u.Path, "/") == "") {
		bad("--postgres-url: want postgres://user@host:5432/database")
	} else if c.PostgresPasswordFile != "" && (c.Embedded() || u.User.Username() == "" || HasPassword(c.PostgresURL)) {
		bad("--postgres-password-file belongs to a --postgres-url with a user and without a password")
	}
	if c.Production {
		faults = append(faults, c.production()...)
	}
	if len(faults) > 0 {
		return &ConfigError{Faults: faults}
	}
	return nil
}

// production lists what --production refuses (Q07).
func (c Config) production() []error {
	var faults []error
	bad := func(format string, args ...any) {
		faults = append(faults, fmt.Errorf("--production: "+format, args...))
	}
	if c.Sandbox() {
		bad("payments would go to the sandbox; give --stripe-key-file and --stripe-webhook-secret-file")
	}
	if c.StripeURL != "" {
		bad("--stripe-url points at an emulator")
	}
	if !strings.HasPrefix(c.BaseURL, "https://") {
		bad("--base-url must be https, not %q", c.BaseURL)
	}
	if c.WebhookLoopback {
		bad("--webhook-loopback would let events reach what listens on this machine")
	}
	if c.SMTPURL == "" {
		bad("mail would stay in the database; give --smtp-url")
	}
	if strings.HasSuffix(strings.Trim(c.MailFrom, ">"), "@localhost") {
		bad("--mail-from is the sample address %q", c.MailFrom)
	}
	for flag, file := range map[string]string{"--stripe-key-file": c.StripeKeyFile, "--stripe-webhook-secret-file": c.StripeWebhookSecretFile, "--smtp-password-file": c.SMTPPasswordFile} {
		if file == "" {
			continue
		}
		text, err := readSecret(file)
		switch {
		case err != nil:
			bad("%s: %w", flag, err)
		case text == "":
			bad("%s: the file is empty", flag)
		case slices.Contains(sampleSecrets(), strings.Fields(text)[0]):
			bad("%s holds a sample value", flag)
		case flag == "--stripe-key-file" && !strings.HasPrefix(text, "sk_live_") && !strings.HasPrefix(text, "rk_live_"):
			bad("--stripe-key-file holds a test-mode key")
		}
	}
	return faults
}

// readSecret reads a file that holds one secret. The file must not be readable by others.
func readSecret(path string) (string, error) {
	info, err := os.Stat(path)
	if err != nil {
		return "", err
	}
	if info.Mode().Perm()&0o077 != 0 {
		return "", fmt.Errorf("%s can be read by others; chmod 600 it", path)
	}
	text, err := os.ReadFile(path)
	return strings.TrimSpace(string(text)), err
}

func prefixes(list []string) ([]netip.Prefix, error) {
	var out []netip.Prefix
	for _, s := range list {
		p, err := netip.ParsePrefix(s)
		if err != nil {
			return nil, fmt.Errorf("%q is no network; want 10.0.0.0/8", s)
		}
		if p.Addr().Is4In6() {
			return nil, fmt.Errorf("%q holds no address of a caller, since those are told as IPv4; want 10.0.0.0/8", s)
		}
		out = append(out, p)
	}
	return out, nil
}

// ConfigError says that a configuration cannot be used, and how each of its faults is mended.
type ConfigError struct{ Faults []error }

func (e *ConfigError) Error() string { return errors.Join(e.Faults...).Error() }

// Unwrap returns the faults.
func (e *ConfigError) Unwrap() []error { return e.Faults }

// HasPassword reports whether a URL holds a password, in its user part or as a parameter.
func HasPassword(text string) bool {
	u, err := url.Parse(text)
	if err != nil {
		return false
	}
	_, set := u.User.Password()
	return set || u.Query().Get("password") != ""
}

// Exists reports whether there is an installation where a configuration means: for PostgreSQL only the database knows.
func Exists(c Config) bool {
	if !c.Embedded() {
		return true
	}
	_, err := os.Stat(filepath.Join(c.DataDir, databaseFile))
	return err == nil
}

// database is the URL of PostgreSQL with its password, from the file that holds it.
func (c Config) database() (string, error) {
	if c.PostgresPasswordFile == "" {
		return c.PostgresURL, nil
	}
	password, err := readSecret(c.PostgresPasswordFile)
	if err != nil {
		return "", fmt.Errorf("--postgres-password-file: %w", err)
	}
	u, err := url.Parse(c.PostgresURL)
	if err != nil {
		return "", errors.New("--postgres-url is no URL")
	}
	u.User = url.UserPassword(u.User.Username(), password)
	return u.String(), nil
}
