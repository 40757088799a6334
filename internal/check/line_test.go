package check

import (
	"strings"
	"testing"
)

func TestLabel(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"v1.2-canary": "", "with a blank": "", "é": "",
		"": "is empty", " ": "is empty",
		" a": "space", "a\n": "space", "a\nb": "can't be seen", "a\u202eb": "can't be seen",
		"a\u200bb": "can't be seen", "a\u2028b": "can't be seen", "a\x00b": "can't be seen",
		"a\xffb":                 "can't be seen",
		strings.Repeat("a", 255): "", strings.Repeat("a", 256): "longer",
	} {
		if got := Label(in); (want == "") != (got == "") || !strings.Contains(got, want) {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
}

func TestWebBase(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"http://a:9090": "", "https://a.example.com/base/": "", "http://[::1]:80": "", "https://a/" +
			strings.Repeat("b", 300): "",
		"": "is empty", "localhost:9090": "http://", "file:///etc/passwd": "http://", "http://": "no host",
		"http://:80":    "no host",
		"http://a:port": "not a valid", "http://u:p@a": "user name", "http://u@a": "user name",
		"http://u:p%zz@a": "not a valid",
		"http://a?x=1":    "after ?", "http://a?": "after ?", "http://a#b": "after ?", "http://a\n": "line break",
		"http://a\u200b": "can't be seen",
	} {
		got := WebBase(in)
		if (want == "") != (got == "") || !strings.Contains(got, want) {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
		if strings.Contains(got, "u:p") {
			t.Errorf("%q repeats the password", got)
		}
	}
	if why := WebAddress("http://a/x?y=1#z"); why != "" {
		t.Error(why)
	}
}
