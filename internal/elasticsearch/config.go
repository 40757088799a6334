package elasticsearch

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/net/http/httpguts"

	"github.com/applylens/terraform-provider-remediation/internal/check"
	"github.com/applylens/terraform-provider-remediation/internal/problem"
	"github.com/applylens/terraform-provider-remediation/internal/redact"
)

// Config configures the connection to a cluster. Its fields are named as in the Elastic Stack provider.
type Config struct {
	// Endpoints are the URLs of nodes, or of a proxy in front of them.
	Endpoints []string
	Username  string
	Password  string
	// APIKey is the encoded key, as the API for creating keys returns it.
	APIKey      string
	BearerToken string
	// ESClientAuthentication is the shared secret of JWT realms, sent with BearerToken.
	ESClientAuthentication string
	// CAFile and CAData are certificate authorities that replace the system's, as a path and as PEM text.
	CAFile, CAData string
	// CertFile and KeyFile, or CertData and KeyData, are a client certificate, as paths and as PEM text.
	CertFile, CertData string
	KeyFile, KeyData   string
	// Insecure accepts any server certificate.
	Insecure bool
	// Headers are sent with every request.
	Headers map[string]string
	// Transport, unless nil, wraps or replaces the real transport, for tests.
	Transport func(http.RoundTripper) http.RoundTripper
}

// WithEnvironment returns the configuration with unset values taken from the environment: ELASTICSEARCH_ENDPOINTS
// (separated by commas), ELASTICSEARCH_USERNAME, ELASTICSEARCH_PASSWORD, ELASTICSEARCH_API_KEY,
// ELASTICSEARCH_BEARER_TOKEN, ELASTICSEARCH_ES_CLIENT_AUTHENTICATION, ELASTICSEARCH_CA_FILE and ELASTICSEARCH_INSECURE.
// It takes credentials only if none are configured, because an API key in the environment would conflict with a
// configured user.
func (c Config) WithEnvironment(getenv func(string) string) Config {
	if len(c.Endpoints) == 0 {
		for e := range strings.SplitSeq(getenv("ELASTICSEARCH_ENDPOINTS"), ",") {
			if e = strings.TrimSpace(e); e != "" {
				c.Endpoints = append(c.Endpoints, e)
			}
		}
	}
	if c.APIKey == "" && c.BearerToken == "" && c.Username == "" {
		c.APIKey, c.BearerToken = getenv("ELASTICSEARCH_API_KEY"), getenv("ELASTICSEARCH_BEARER_TOKEN")
		c.Username = getenv("ELASTICSEARCH_USERNAME")
	}
	if c.Username != "" && c.Password == "" {
		c.Password = getenv("ELASTICSEARCH_PASSWORD")
	}
	if c.BearerToken != "" && c.ESClientAuthentication == "" {
		c.ESClientAuthentication = getenv("ELASTICSEARCH_ES_CLIENT_AUTHENTICATION")
	}
	if c.CAFile == "" && c.CAData == "" {
		c.CAFile = getenv("ELASTICSEARCH_CA_FILE")
	}
	if !c.Insecure {
		insecure, err := strconv.ParseBool(getenv("ELASTICSEARCH_INSECURE"))
		c.Insecure = err == nil && insecure
	}
	return c
}

// Configured reports whether a cluster is configured.
func (c Config) Configured() bool { return len(c.Endpoints) > 0 }

// Check returns a *problem.Problem for an invalid configuration, with the path of the invalid attribute. It reads the
// configured files but makes no connection. A configuration without endpoints is valid, because most playbooks need no
// cluster.
func (c Config) Check() error {
	for i, e := range c.Endpoints {
		if why := check.WebBase(e); why != "" {
			return invalidAt([]string{"endpoints", strconv.Itoa(i)}, fmt.Sprintf("Endpoint %d: %s.", i+1, why),
				"Write URLs such as https://search.example.com:9200, and put credentials in separate attributes, "+
					"so that they are kept secret.", nil)
		}
	}
	credentials := slices.DeleteFunc([]string{set("username", c.Username), set("api_key", c.APIKey),
		set("bearer_token", c.BearerToken)},
		func(s string) bool { return s == "" })
	if len(credentials) > 1 {
		return invalid(credentials[1], fmt.Sprintf("%s are set together.", strings.Join(credentials, " and ")),
			"Set one kind of credentials.", nil)
	}
	if c.Password != "" && c.Username == "" {
		return invalid("username", "password is set, and username is not.", "Set both.", nil)
	}
	if c.ESClientAuthentication != "" && c.BearerToken == "" {
		return invalid("es_client_authentication", "It is sent along with bearer_token, which is not set.", "Set both.",
			nil)
	}
	if err := c.checkHeaders(); err != nil {
		return err
	}
	_, err := c.tls()
	return err
}

// checkHeaders refuses headers that can't be sent unchanged. Values are secrets and are not repeated in errors.
func (c Config) checkHeaders() error {
	for _, one := range []struct{ name, value string }{
		{"username", c.Username}, {"password", c.Password}, {"api_key", c.APIKey}, {"bearer_token",
			c.BearerToken}, {"es_client_authentication", c.ESClientAuthentication},
	} {
		if !httpguts.ValidHeaderFieldValue(one.value) || strings.TrimSpace(one.value) != one.value {
			return invalid(one.name,
				"It contains a line break, a control character, or a leading or trailing blank, and can't be "+
					"sent.", "A value read from a file may end with a line break: use trimspace().", nil)
		}
	}
	if strings.Contains(c.Username, ":") {
		return invalid("username", "It contains a colon, which ends the user name in an HTTP request.",
			"Use another user.", nil)
	}
	for _, name := range slices.Sorted(maps.Keys(c.Headers)) {
		at := []string{"headers", problem.Key(name)}
		switch {
		case !httpguts.ValidHeaderFieldName(name):
			return invalidAt(at, fmt.Sprintf("%q is not a valid header name.", name),
				"Write names such as X-Tenant.", nil)
		case !httpguts.ValidHeaderFieldValue(c.Headers[name]):
			return invalidAt(at, "Its value contains a line break or a control character, and can't be sent.",
				"A value read from a file may end with a line break: use trimspace().", nil)
		case strings.EqualFold(name, "Authorization") && (c.Username != "" || c.APIKey != "" || c.BearerToken != ""):
			return invalidAt(at, "Credentials are also set in another way.", "Set one kind of credentials.", nil)
		}
	}
	return nil
}

func set(name, value string) string {
	if value == "" {
		return ""
	}
	return name
}

// Secrets returns a redactor for the configuration's credentials.
func (c Config) Secrets() *redact.Redactor {
	secrets := []string{c.Password, c.APIKey, c.BearerToken, c.ESClientAuthentication, c.KeyData}
	// An API key is the Base64 of its identifier and the actual secret.
	if id, key, ok := strings.Cut(decoded(c.APIKey), ":"); ok {
		secrets = append(secrets, id+":"+key, key)
	}
	for _, v := range c.Headers {
		secrets = append(secrets, v)
	}
	return redact.New(secrets...)
}

func decoded(s string) string {
	text, err := base64.StdEncoding.DecodeString(s)
	if err != nil {
		return ""
	}
	return string(text)
}

func (c Config) header() http.Header {
	h := http.Header{}
	for name, value := range c.Headers {
		h.Set(name, value)
	}
	if c.BearerToken != "" {
		h.Set("Authorization", "Bearer "+c.BearerToken)
	}
	if c.ESClientAuthentication != "" {
		h.Set("ES-Client-Authentication", "SharedSecret "+c.ESClientAuthentication)
	}
	return h
}

func (c Config) tls() (*tls.Config, error) {
	//nolint:gosec // what insecure says
	out := &tls.Config{MinVersion: tls.VersionTLS12, InsecureSkipVerify: c.Insecure}
	if c.CAFile != "" && c.CAData != "" {
		return nil, invalid("ca_file", "ca_file and ca_data are both set.", "Set one of them.", nil)
	}
	ca, err := fileOr(c.CAFile, c.CAData)
	if err != nil {
		return nil, invalid("ca_file", err.Error()+".",
			"Set ca_file to a readable file, or ca_data to the certificate itself.", err)
	}
	if len(ca) > 0 {
		out.RootCAs = x509.NewCertPool()
		if !out.RootCAs.AppendCertsFromPEM(ca) {
			return nil, invalid(either("ca_file", "ca_data", c.CAFile), "It contains no certificate in PEM form.",
				"Set it to the certificate authority of the cluster.", nil)
		}
	}
	for _, pair := range []struct{ name, file, data string }{{"cert", c.CertFile, c.CertData},
		{"key", c.KeyFile, c.KeyData}} {
		if pair.file != "" && pair.data != "" {
			return nil, invalid(pair.name+"_file", fmt.Sprintf("%[1]s_file and %[1]s_data are both set.", pair.name),
				"Set one of them.", nil)
		}
	}
	cert, certErr := fileOr(c.CertFile, c.CertData)
	key, keyErr := fileOr(c.KeyFile, c.KeyData)
	if err := errors.Join(certErr, keyErr); err != nil {
		return nil, invalid(either("cert_file", "key_file", boolText(certErr != nil)), err.Error()+".",
			"Set it to a readable file.", err)
	}
	switch {
	case len(cert) == 0 && len(key) == 0:
		return out, nil
	case len(cert) == 0:
		return nil, invalid(either("key_file", "key_data", c.KeyFile),
			"It is the key of a client certificate, and its certificate is "+
				"not set.", "Set cert_file or cert_data, too.", nil)
	case len(key) == 0:
		return nil, invalid(either("cert_file", "cert_data", c.CertFile),
			"It is a client certificate, and its key is not set.", "Set key_file or key_data, too.", nil)
	}
	pair, err := tls.X509KeyPair(cert, key)
	if err != nil {
		return nil, invalid(either("cert_file", "cert_data", c.CertFile), c.Secrets().String(err.Error())+".",
			"Set a client certificate and the key that belongs to it, both in PEM form.", err)
	}
	out.Certificates = []tls.Certificate{pair}
	return out, nil
}

func fileOr(path, data string) ([]byte, error) {
	if path == "" {
		return []byte(data), nil
	}
	return os.ReadFile(path)
}

func either(a, b, chooseA string) string {
	if chooseA != "" {
		return a
	}
	return b
}

func boolText(b bool) string {
	if b {
		return "true"
	}
	return ""
}

func invalid(attribute, why, next string, cause error) error {
	return invalidAt([]string{attribute}, why, next, cause)
}

func invalidAt(at []string, why, next string, cause error) error {
	at = append([]string{"elasticsearch"}, at...)
	return &problem.Problem{What: "Invalid " + problem.Where(at), Why: why, Next: next, Path: at,
		Err: errors.Join(ErrConfiguration, cause)}
}
