package provider_test

import (
	"encoding/json"
	"strings"

	"github.com/applylens/terraform-provider-remediation/internal/acctest/inprocess"
)

// huge is a number that does not fit a float64.
const huge = json.Number("1e400")

const longLine = 256

func dbt(v values) values           { return values{"dbt": v} }
func elasticsearch(v values) values { return values{"elasticsearch": v} }
func webhook(v values) values       { return values{"notify": list{v}} }
func prometheus(v values) values    { return values{"prometheus": v} }
func estimates(v values) values     { return values{"estimates": v} }

func plannerOf(kind string, v values) values { return values{"planner": values{kind: v}} }

// cluster returns a valid elasticsearch block, plus more.
func cluster(more values) values {
	v := values{"endpoints": list{"https://search.example.com:9200"}}
	for name, value := range more {
		v[name] = value
	}
	return elasticsearch(v)
}

func sharedJournal(index any) values {
	return values{"journal": values{"elasticsearch": values{"index": index}}}
}

// haproxy, gateway and guardAPI return valid planner blocks, except for change.
func haproxy(change values) values {
	v := values{"address": "tcp://127.0.0.1:9999", "backend": "planner", "servers": values{"v1": "srv1", "v2": "srv2"}}
	for name, value := range change {
		v[name] = value
	}
	return plannerOf("haproxy", v)
}

func gateway(change values) values {
	v := values{"namespace": "search", "http_route": "planner",
		"backends": values{"v1": "planner-v1", "v2": "planner-v2"}}
	for name, value := range change {
		v[name] = value
	}
	return plannerOf("gateway_api", v)
}

func guardAPI(change values) values {
	v := values{"url": "https://guard.example.com", "stable_version": "v1", "canary_version": "v2"}
	for name, value := range change {
		v[name] = value
	}
	return plannerOf("applylens", v)
}

// badBlocks are invalid provider blocks, except for invalid policies.
func badBlocks() map[string]badInput {
	const (
		noAddress = "Invalid web address"
		notShown  = "the value, which is not shown,"
	)
	return map[string]badInput{
		"history_limit zero": {block: values{"history_limit": 0}, says: "between 1 and 500, got: 0",
			at: "history_limit"},
		"history_limit negative": {block: values{"history_limit": -1}, says: "between 1 and 500, got: -1",
			at: "history_limit"},
		"history_limit too much": {block: values{"history_limit": 501}, says: "between 1 and 500", at: "history_limit"},
		"history_limit part": {block: values{"history_limit": 1.5},
			says: "a whole number between 1 and 500, got: 1.5", at: "history_limit"},
		"history_limit huge": {block: values{"history_limit": huge}, says: "between 1 and 500, got: 1e+400",
			at: "history_limit"},

		"journal.path empty": {block: values{"journal": values{"path": ""}}, says: "is empty",
			at: "journal.path"},
		"journal.path null char": {block: values{"journal": values{"path": "a\x00b"}}, says: "can't be seen",
			at: "journal.path"},
		"journal.path line break": {block: values{"journal": values{"path": "journal.db\n"}}, says: "line break",
			at: "journal.path"},
		"journal.path is a folder": {block: values{"journal": values{"path": "/"}}, says: "It is a folder",
			at: "journal.path"},
		"journal.path is a device": {block: values{"journal": values{"path": "/dev/null"}}, says: "not a regular file",
			at: "journal.path"},
		"journal.path of another": {block: values{"journal": values{"path": "provider.go"}},
			says: "is not a journal of this provider", at: "journal.path"},
		"journal.path below a file": {block: values{"journal": values{"path": "provider.go/journal.db"}},
			says: "cannot be read or written", at: "journal.path"},

		"journal.keep in words": {block: values{"journal": values{"keep": "for ever"}}, says: "8760h",
			at: "journal.keep"},
		"journal.keep too short": {block: values{"journal": values{"keep": "1h"}}, says: "24h", at: "journal.keep"},
		"journal.keep negative":  {block: values{"journal": values{"keep": "-24h"}}, says: "24h", at: "journal.keep"},

		"journal twice": {block: with(cluster(nil),
			values{"journal": values{"path": "journal.db", "elasticsearch": values{}}}),
			says: "both path and elasticsearch",
			at:   "journal.elasticsearch"},
		"journal without cluster": {block: sharedJournal(nil), says: "but no cluster is configured",
			at: "journal.elasticsearch"},
		"journal index capital": {block: sharedJournal("Journal"), says: "can't be named",
			at: "journal.elasticsearch.index"},
		"journal index a pattern": {block: sharedJournal("journal-*"), says: "can't be named",
			at: "journal.elasticsearch.index"},
		"journal index a path": {block: sharedJournal("../journal"), says: "can't be named",
			at: "journal.elasticsearch.index"},
		"journal index empty": {block: sharedJournal(""), says: "is empty", at: "journal.elasticsearch.index"},
		"journal index of lines": {block: sharedJournal("a\nb"), says: "can't be seen",
			at: "journal.elasticsearch.index"},

		"logs not an address": {block: values{"logs": values{"base_url": "ci.example.com/logs"}}, says: noAddress,
			at: "logs.base_url"},
		"logs with a password": {block: values{"logs": values{"base_url": "https://u:p@ci.example.com"}},
			says: "user name", at: "logs.base_url"},
		"seconds zero": {block: estimates(values{"dbt_seconds_per_model": 0}), says: "between 1",
			at: "estimates.dbt_seconds_per_model"},
		"seconds negative": {block: estimates(values{"dbt_seconds_per_model": -5}), says: "between 1",
			at: "estimates.dbt_seconds_per_model"},
		"seconds of a week": {block: estimates(values{"dbt_seconds_per_model": 604800}), says: "86400",
			at: "estimates.dbt_seconds_per_model"},
		"seconds huge": {block: estimates(values{"dbt_seconds_per_model": huge}), says: "got: 1e+400",
			at: "estimates.dbt_seconds_per_model"},
		"cost negative": {block: estimates(values{"dbt_cost_per_model_usd": -0.01}), says: "between 0",
			at: "estimates.dbt_cost_per_model_usd"},
		"cost huge": {block: estimates(values{"dbt_cost_per_model_usd": 1e300}), says: "between 0",
			at: "estimates.dbt_cost_per_model_usd"},

		"dbt.executable hidden": {block: dbt(values{"executable": "dbt\u202e"}), says: "can't be seen",
			at: "dbt.executable"},
		"dbt.project_dir empty": {block: dbt(values{"project_dir": ""}), says: "is empty", at: "dbt.project_dir"},
		"dbt.profiles_dir breaks": {block: dbt(values{"profiles_dir": "/a\nb"}), says: "line break",
			at: "dbt.profiles_dir"},
		"dbt.target as a flag": {block: dbt(values{"target": "--full-refresh"}), says: "begins with -",
			at: "dbt.target"},
		"dbt.target of blanks": {block: dbt(values{"target": "  "}), says: "is empty", at: "dbt.target"},
		"a flag as variable": {block: dbt(values{"environment": values{"DBT_FULL_REFRESH": "1"}}),
			says: "DBT_FULL_REFRESH is a flag of dbt",
			at:   `dbt.environment["DBT_FULL_REFRESH"]`},
		"a variable null": {block: dbt(values{"environment": values{"A": nil}}), says: "Null",
			at: "dbt.environment"},
		"a variable without name": {block: dbt(values{"environment": values{"": "x"}}), says: "not a valid variable",
			at: `dbt.environment[""]`},
		"a variable with equals": {block: dbt(values{"environment": values{"A=B": "x"}}), says: "not a valid variable",
			at: `dbt.environment["A=B"]`},
		"a variable cut short": {block: dbt(values{"environment": values{"A": "x\x00y"}}), says: "null character",
			at: `dbt.environment["A"]`},

		"no planner": {block: values{"planner": values{}}, says: "The block is empty", at: "planner"},
		"two planners": {block: values{"planner": values{"file": values{}, "http": values{"url": "http://a"}}},
			says: "The block has file and http", at: "planner"},
		"planner.file empty": {block: plannerOf("file", values{"path": ""}), says: "is empty", at: "planner.file.path"},

		"http without address": {block: plannerOf("http", values{}), says: noAddress, at: "planner.http.url"},
		"http address of a file": {block: plannerOf("http", values{"url": "file:///etc/passwd"}),
			says: "does not begin with http://", at: "planner.http.url"},
		"http without scheme": {block: plannerOf("http", values{"url": "planner:8080"}),
			says: "does not begin with http://", at: "planner.http.url"},
		"http without host": {block: plannerOf("http", values{"url": "http:///split"}), says: "names no host",
			at: "planner.http.url"},
		"http with a password": {block: plannerOf("http", values{"url": "https://u:p@planner"}),
			says: "it contains a user name or a password", at: "planner.http.url"},
		"http with a query": {block: plannerOf("http", values{"url": "https://planner?token=x"}),
			says: "after ? or #", at: "planner.http.url"},
		"http token with a line": {block: plannerOf("http", values{"url": "https://a", "token": "s3cret-token\n"}),
			says: notShown, at: "planner.http.token"},
		"http token empty": {block: plannerOf("http", values{"url": "https://a", "token": ""}), says: "is empty",
			at: "planner.http.token"},

		"applylens without versions": {block: plannerOf("applylens", values{"url": "https://a", "canary_version": "v2"}),
			says: "required", at: "planner.applylens.stable_version"},
		"applylens address": {block: guardAPI(values{"url": "ftp://a"}), says: "does not begin with http://",
			at: "planner.applylens.url"},
		"applylens token inner break": {block: guardAPI(values{"token": "a\r\nX-Evil: 1"}), says: notShown,
			at: "planner.applylens.token"},
		"applylens canary is stable": {block: guardAPI(values{"canary_version": "v1"}),
			says: "The canary is the stable version", at: "planner.applylens.canary_version"},
		"applylens canary is a path": {block: guardAPI(values{"canary_version": ".."}), says: "leads to another path",
			at: "planner.applylens.canary_version"},
		"applylens stable with blanks": {block: guardAPI(values{"stable_version": " v1"}),
			says: "begins or ends with a space", at: "planner.applylens.stable_version"},

		"haproxy address": {block: haproxy(values{"address": "/run/haproxy.sock"}),
			says: "does not begin with unix:// or tcp://", at: "planner.haproxy.address"},
		"haproxy address missing": {block: haproxy(values{"address": nil}), says: "required",
			at: "planner.haproxy.address"},
		"haproxy backend command": {block: haproxy(values{"backend": "planner; shutdown sessions"}),
			says: "has characters other than letters", at: "planner.haproxy.backend"},
		"haproxy server command": {block: haproxy(values{"servers": values{"v1": "a", "v2": "b weight 0;x"}}),
			says: "has characters other than letters", at: `planner.haproxy.servers["v2"]`},
		"haproxy a server null": {block: haproxy(values{"servers": values{"v1": "a", "v2": nil}}), says: "Null",
			at: "planner.haproxy.servers"},
		"haproxy one server": {block: haproxy(values{"servers": values{"v1": "a"}}), says: "at least 2",
			at: "planner.haproxy.servers"},
		"haproxy same server": {block: haproxy(values{"servers": values{"v1": "a", "v2": "a"}}),
			says: "v1 and v2 are both a", at: `planner.haproxy.servers["v2"]`},
		"haproxy a server of path": {block: haproxy(values{"servers": values{"v1": "a", "..": "b"}}),
			says: "leads to another path",
			at:   `planner.haproxy.servers[".."]`},
		"haproxy stable": {block: haproxy(values{"stable_version": "v9"}), says: "v9 has no entry",
			at: "planner.haproxy.stable_version"},
		"gateway namespace": {block: gateway(values{"namespace": "a/../b"}), says: "not a valid object name",
			at: "planner.gateway_api.namespace"},
		"gateway route": {block: gateway(values{"http_route": "Planner"}), says: "not a valid object name",
			at: "planner.gateway_api.http_route"},
		"gateway backend": {block: gateway(values{"backends": values{"v1": "a", "v2": "b c"}}),
			says: "not a valid service name", at: `planner.gateway_api.backends["v2"]`},
		"gateway backends missing": {block: gateway(values{"backends": nil}), says: "required",
			at: "planner.gateway_api.backends"},
		"gateway kubeconfig": {block: gateway(values{"kubeconfig": "~/.kube/config\t"}),
			says: "begins or ends with a space", at: "planner.gateway_api.kubeconfig"},
		"gateway stable": {block: gateway(values{"stable_version": "v3"}), says: "v3 has no entry",
			at: "planner.gateway_api.stable_version"},
		"file path of blanks": {block: plannerOf("file", values{"path": " planner.json"}),
			says: "begins or ends with a space", at: "planner.file.path"},

		"prometheus without address": {block: prometheus(values{}), says: "configured without url",
			at: "prometheus.url"},
		"prometheus with a user": {block: prometheus(values{"url": "http://admin@prom:9090"}),
			says: "a user name or a password", at: "prometheus.url"},
		"prometheus fragment": {block: prometheus(values{"url": "http://prom:9090/#x"}), says: "after ? or #",
			at: "prometheus.url"},
		"prometheus of the cloud": {block: prometheus(values{"url": "http://169.254.169.254"}),
			says: "link-local address", at: "prometheus.url"},
		"prometheus port": {block: prometheus(values{"url": "http://prom:http"}), says: "not a valid address",
			at: "prometheus.url"},
		"prometheus token": {block: prometheus(values{"url": "http://prom:9090", "token": "a\x00b-secret"}),
			says: notShown, at: "prometheus.token"},

		"notify without address": {block: webhook(values{}), says: "configured without url", at: "notify[0].url"},
		"notify that is no URL": {block: webhook(values{"url": "hooks-secret"}), says: "does not begin with http",
			at: "notify[0].url"},
		"notify of the cloud": {block: webhook(values{"url": "http://169.254.169.254/secret"}),
			says: "link-local address", at: "notify[0].url"},
		"notify with a password": {block: webhook(values{"url": "http://a:secret@b/"}),
			says: "a user name or a password",
			at:   "notify[0].url"},
		"notify format": {block: webhook(values{"url": "http://a", "format": "xml"}), says: "must be one of",
			at: "notify[0].format"},
		"notify event": {block: webhook(values{"url": "http://a", "events": list{"panic"}}), says: "must be one of",
			at: "notify[0].events[panic]"},
		"incidents without address": {block: values{"incidents": values{}}, says: "configured without url",
			at: "incidents.url"},
		"incidents with a user": {block: values{"incidents": values{"url": "http://admin@a/api"}},
			says: "a user name or a password", at: "incidents.url"},
		"incidents query": {block: values{"incidents": values{"url": "http://a/api?x=1"}}, says: "after ? or #",
			at: "incidents.url"},
		"incidents of the cloud": {block: values{"incidents": values{"url": "http://169.254.169.254/api"}},
			says: "link-local address", at: "incidents.url"},
		"incidents token": {block: values{"incidents": values{"url": "http://a", "token": "a\x00b-secret"}},
			says: notShown, at: "incidents.token"},

		"elasticsearch without address": {block: elasticsearch(values{}), says: "configured without endpoints",
			at: "elasticsearch.endpoints"},
		"elasticsearch endpoint null": {block: elasticsearch(values{"endpoints": list{nil}}), says: "Null",
			at: "elasticsearch.endpoints"},
		"elasticsearch header null": {block: cluster(values{"headers": values{"X-Tenant": nil}}), says: "Null",
			at: "elasticsearch.headers"},
		"elasticsearch no endpoints": {block: elasticsearch(values{"endpoints": list{}}), says: "at least 1",
			at: "elasticsearch.endpoints"},
		"elasticsearch endpoint": {block: elasticsearch(values{"endpoints": list{"https://a:9200", "localhost:9200"}}),
			says: "Endpoint 2: it does not begin with http://",
			at:   "elasticsearch.endpoints[1]"},
		"elasticsearch with a " +
			"password": {block: elasticsearch(values{"endpoints": list{"https://elastic:changeme@a:9200"}}),
			says: "a user name or a password",
			at:   "elasticsearch.endpoints[0]"},
		"elasticsearch two credentials": {block: cluster(values{"username": "u", "password": "p-long",
			"api_key": "key"}), says: "username and api_key are set together", at: "elasticsearch.api_key"},
		"elasticsearch key and bearer": {block: cluster(values{"api_key": "key", "bearer_token": "b"}),
			says: "api_key and bearer_token are set together", at: "elasticsearch.bearer_token"},
		"elasticsearch bearer broken": {block: cluster(values{"bearer_token": "secret\ntoken"}),
			says: "line break", at: "elasticsearch.bearer_token"},
		"elasticsearch password alone": {block: cluster(values{"password": "p-long"}),
			says: "password is set, and username is not", at: "elasticsearch.username"},
		"elasticsearch password of a file": {block: cluster(values{"username": "u", "password": "from-a-file\n"}),
			says: "use trimspace()", at: "elasticsearch.password"},
		"elasticsearch user with a colon": {block: cluster(values{"username": "a:b", "password": "p-long"}),
			says: "It contains a colon", at: "elasticsearch.username"},
		"elasticsearch shared secret": {block: cluster(values{"es_client_authentication": "shared"}),
			says: "which is not set", at: "elasticsearch.es_client_authentication"},
		"elasticsearch key empty": {block: cluster(values{"api_key": ""}), says: "is empty",
			at: "elasticsearch.api_key"},
		"elasticsearch ca missing": {block: cluster(values{"ca_file": "/nowhere/ca.pem"}), says: "no such file",
			at: "elasticsearch.ca_file"},
		"elasticsearch ca twice": {block: cluster(values{"ca_file": "a", "ca_data": "b"}), says: "both set",
			at: "elasticsearch.ca_file"},
		"elasticsearch ca no PEM": {block: cluster(values{"ca_data": "text"}),
			says: "no certificate in PEM form", at: "elasticsearch.ca_data"},
		"elasticsearch cert missing": {block: cluster(values{"cert_file": "/nowhere/cert.pem"}),
			says: "no such file", at: "elasticsearch.cert_file"},
		"elasticsearch cert file twice": {block: cluster(values{"cert_file": "provider.go", "cert_data": "x",
			"key_data": "y"}), says: "both set", at: "elasticsearch.cert_file"},
		"elasticsearch key missing": {block: cluster(values{"cert_data": "x", "key_file": "/nowhere/key.pem"}),
			says: "no such file", at: "elasticsearch.key_file"},
		"elasticsearch key no PEM": {block: cluster(values{"cert_data": "text", "key_data": "a-secret-key"}),
			says: "client certificate", at: "elasticsearch.cert_data"},
		"elasticsearch key alone": {block: cluster(values{"key_data": "a-secret-key"}),
			says: "its certificate is not set", at: "elasticsearch.key_data"},
		"elasticsearch header name": {block: cluster(values{"headers": values{"X Tenant": "a"}}),
			says: "not a valid header name", at: `elasticsearch.headers["X Tenant"]`},
		"elasticsearch header value": {block: cluster(values{"headers": values{"X-Tenant": "a\r\nX-Evil: 1"}}),
			says: "can't be sent", at: `elasticsearch.headers["X-Tenant"]`},
		"elasticsearch header credentials": {block: cluster(values{"api_key": "key",
			"headers": values{"authorization": "Basic x"}}), says: "also set in another way",
			at: `elasticsearch.headers["authorization"]`},

		"unknown and bad": {block: values{"history_limit": 0, "prometheus": inprocess.Unknown{}},
			says: "between 1 and 500", at: "history_limit"},
		"a name too long": {block: guardAPI(values{"stable_version": strings.Repeat("a", longLine)}),
			says: "longer than 255 bytes", at: "planner.applylens.stable_version"},
	}
}
