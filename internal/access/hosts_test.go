package access_test

import (
	"errors"
	"testing"

	"github.com/applylens/terraform-provider-remediation/internal/access"
)

func TestHosts(t *testing.T) {
	t.Parallel()
	list := access.Hosts{"a.example.com", "b.example.com:9200", "*.c.example.com", "unix:/run/haproxy.sock",
		"[::1]:9090", "127.0.0.1"}
	if i, why, ok := access.CheckHosts(list); !ok {
		t.Fatalf("entry %d: %s", i, why)
	}
	for address, want := range map[string]bool{
		"https://a.example.com": true, "http://A.example.com.:8080/x": true, "a.example.com:1": true,
		"http://b.example.com:9200": true, "http://b.example.com": false, "https://b.example.com:9201": false,
		"https://x.c.example.com": true, "https://x.y.c.example.com": true, "https://c.example.com": false,
		"https://evilc.example.com": false, "https://a.example.com.evil.org": false,
		"https://a.example.com@evil.org": false,
		// PostgreSQL's client takes lists of hosts and folders of sockets.
		"evil.org,x.c.example.com": false, "/tmp/.c.example.com": false, "@x.c.example.com": false, "unix:/run/haproxy.sock": true, "unix:/run/../run/haproxy.sock": true,
		"unix:/run/other.sock": false, "http://[::1]:9090/": true, "http://[::1]:9091/": false,
		"http://[::ffff:127.0.0.1]/": true, "http://10.0.0.1": false,
	} {
		err := list.Check(address)
		if (err == nil) != want || (err != nil && !errors.Is(err, access.ErrRefused)) {
			t.Errorf("%s: %v", address, err)
		}
		if err := access.Hosts(nil).Check(address); err != nil {
			t.Errorf("%s without a list: %v", address, err)
		}
	}
	if err := (access.Hosts{}).Check("http://a.example.com"); err == nil {
		t.Error("an empty list allows an address")
	}
}

func TestMetadataServicesAreRefusedWithoutAList(t *testing.T) {
	t.Parallel()
	for _, address := range []string{
		"http://169.254.169.254/latest/meta-data", "http://[fe80::1]:80", "http://[fe80::1%25eth0]/",
		"http://metadata.google.internal/", "http://METADATA.google.internal./", "http://[fd00:ec2::254]/",
		"http://[::ffff:169.254.169.254]/", "http://100.100.100.200", "http://[64:ff9b::a9fe:a9fe]/",
		"http://[64:ff9b:1::a9fe:a9fe]/", "http://[2002:a9fe:a9fe::1]/", "http://[::169.254.169.254]/",
		"http://2852039166/", "http://0xa9fea9fe/", "http://0251.0376.0251.0376/", "http://169.254.43518/",
		"http://127.1/", "http://2852039166./",
	} {
		for _, hosts := range []access.Hosts{nil, {"169.254.169.254", "metadata.google.internal", "*.internal"}} {
			if err := hosts.Check(address); !errors.Is(err, access.ErrRefused) {
				t.Errorf("%s with %q: %v", address, hosts, err)
			}
		}
	}
	for address, refused := range map[string]bool{
		"169.254.169.254:80": true, "[fe80::1%eth0]:80": true, "[::ffff:169.254.0.1]:80": true,
		"127.0.0.1:80": false, "10.0.0.1:443": false, "/run/socket": false,
	} {
		if err := access.Control("tcp", address, nil); (err != nil) != refused {
			t.Errorf("connect to %s: %v", address, err)
		}
	}
}

func TestBadHosts(t *testing.T) {
	t.Parallel()
	for _, entry := range []string{"", " a", "https://a", "*", "*.", "a.*", "a/b", "u@a", "unix:relative",
		"unix:/a/../b"} {
		if _, _, ok := access.CheckHosts([]string{"fine", entry}); ok {
			t.Errorf("%q is accepted", entry)
		}
	}
}
