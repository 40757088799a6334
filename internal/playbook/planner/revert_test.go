package planner_test

import (
	"errors"
	"io"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/applylens/terraform-provider-remediation/internal/acctest/controlapi"
	"github.com/applylens/terraform-provider-remediation/internal/acctest/haproxytest"
	"github.com/applylens/terraform-provider-remediation/internal/playbook"
	"github.com/applylens/terraform-provider-remediation/internal/playbook/planner"
	"github.com/applylens/terraform-provider-remediation/internal/target/planner/haproxy"
	"github.com/applylens/terraform-provider-remediation/internal/target/planner/httpapi"
)

// Lines of HAProxy's runtime API that read and change the router.
const (
	readLine   = "show "
	changeLine = "set server "
)

// TestRevertSurvivesABrokenConnection disturbs answers of HAProxy in the middle of a way back. HAProxy has executed the
// line each time.
func TestRevertSurvivesABrokenConnection(t *testing.T) {
	t.Parallel()
	for name, fault := range map[string]cutting{
		"reads without an answer":           {lines: readLine},
		"reads cut in the answer":           {lines: readLine, after: 30},
		"a change without an answer":        {lines: changeLine},
		"a change cut in the answer":        {lines: changeLine, after: 1},
		"a read that is never answered":     {lines: readLine, silent: true},
		"a change that is never answered":   {lines: changeLine, silent: true},
		"reads that are answered slowly":    {lines: readLine, after: whole, delay: time.Second},
		"a change that is answered slowly":  {lines: changeLine, after: whole, delay: time.Second},
		"everything is cut in the answer":   {after: 1},
		"everything is without its answers": {},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := haproxytest.StartWith(t, servers("weight 100", "weight 5"))
			cut := fault.start(t, s.Socket)
			p := haproxy.New(haproxy.Config{Address: cut.address, Backend: "planner",
				Servers: map[string]string{"v1": "srv1", "v2": "srv2"}, Stable: "v1"})
			before := s.Configured(t)
			work, _, err := run(t, bind(t, planner.NewSplit(p, &quick{}), toHalf), func(int) error { return errStop })
			if !errors.Is(err, errStop) || s.Configured(t) == before {
				t.Fatal(err)
			}
			times := int64(1)
			if fault.lines == "" || fault.lines == readLine && !fault.silent {
				times = 3
			}
			cut.left.Store(times)
			back, err := work.(playbook.Reverter).Revert(t.Context()) //nolint:forcetypeassert // it has to be one
			if err != nil || s.Configured(t) != before {
				t.Errorf("back (%v): %v\n%s, want\n%s", back, err, s.Configured(t), before)
			}
			if n := cut.left.Load(); n > 0 {
				t.Errorf("%d answers were not disturbed", n)
			}
		})
	}
}

// whole is more than the length of any answer.
const whole = 1 << 20

// cutting is a proxy in front of HAProxy's socket that disturbs the answers to the next lines.
type cutting struct {
	// lines is how a disturbed line begins; empty for every line.
	lines string
	// after is how many bytes of the answer arrive, and delay when. silent keeps the connection open without an answer.
	after  int
	delay  time.Duration
	silent bool
	// onceAfter disturbs the one line after each line that begins so, unless it is empty.
	onceAfter string

	address string
	// left is how many answers are still to be disturbed.
	left *atomic.Int64
}

func (c cutting) start(t *testing.T, socket string) cutting {
	t.Helper()
	path := filepath.Join(t.TempDir(), "s")
	l, err := net.Listen("unix", path) //nolint:noctx // a test
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	c.address, c.left = "unix://"+path, &atomic.Int64{}
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			c.serve(conn, strings.TrimPrefix(socket, "unix://"))
		}
	}()
	return c
}

func (c cutting) serve(conn net.Conn, socket string) {
	defer conn.Close()
	router, err := net.Dial("unix", socket) //nolint:noctx // a test
	if err != nil {
		return
	}
	defer router.Close()
	line := make([]byte, 4096) // one line fits
	n, _ := conn.Read(line)
	_, _ = router.Write(line[:n])
	answer, _ := io.ReadAll(router)
	if c.onceAfter != "" && strings.HasPrefix(string(line[:n]), c.onceAfter) {
		c.left.Store(1)
		_, _ = conn.Write(answer)
		return
	}
	if strings.HasPrefix(string(line[:n]), c.lines) && c.left.Load() > 0 {
		c.left.Add(-1)
		time.Sleep(c.delay)
		if c.silent {
			_, _ = conn.Read(line) // until the client gives up
			return
		}
		answer = answer[:min(c.after, len(answer))]
	}
	_, _ = conn.Write(answer)
}

// TestStepIsReadBackIfTheReadAfterItFails cuts off the answer to the read that follows a change of HAProxy.
func TestStepIsReadBackIfTheReadAfterItFails(t *testing.T) {
	t.Parallel()
	s := haproxytest.StartWith(t, servers("weight 90", "weight 10"))
	cut := cutting{lines: readLine, after: 1, onceAfter: changeLine}.start(t, s.Socket)
	p := haproxy.New(haproxy.Config{Address: cut.address, Backend: "planner",
		Servers: map[string]string{"v1": "srv1", "v2": "srv2"}, Stable: "v1"})
	if _, out, err := run(t, bind(t, planner.NewSplit(p, &quick{}), toHalf), nil); err != nil {
		t.Errorf("outcome %+v, %v", out, err)
	}
	if n := cut.left.Load(); n > 0 {
		t.Error("no read was disturbed")
	}
}

// TestRevertSurvivesABrokenControlAPI disturbs answers of the control API in the middle of a way back.
func TestRevertSurvivesABrokenControlAPI(t *testing.T) {
	t.Parallel()
	for name, disturb := range map[string]func(w http.ResponseWriter, answer *httptest.ResponseRecorder){
		"busy": func(w http.ResponseWriter, _ *httptest.ResponseRecorder) {
			w.WriteHeader(http.StatusServiceUnavailable)
		},
		"without an answer": func(http.ResponseWriter, *httptest.ResponseRecorder) { panic(http.ErrAbortHandler) },
		"cut in the answer": func(w http.ResponseWriter, answer *httptest.ResponseRecorder) {
			w.Header().Set("Content-Length", "1000")
			_, _ = w.Write(answer.Body.Bytes()[:5])
			panic(http.ErrAbortHandler)
		},
		"slow": func(w http.ResponseWriter, answer *httptest.ResponseRecorder) {
			time.Sleep(time.Second)
			maps.Copy(w.Header(), answer.Header())
			_, _ = w.Write(answer.Body.Bytes())
		},
	} {
		for _, method := range []string{http.MethodGet, http.MethodPut} {
			t.Run(method+" "+name, func(t *testing.T) {
				t.Parallel()
				api, left := controlapi.New(), &atomic.Int64{}
				inner := api.Handler()
				s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					if r.Method != method || left.Load() == 0 {
						inner.ServeHTTP(w, r)
						return
					}
					left.Add(-1)
					answer := httptest.NewRecorder()
					inner.ServeHTTP(answer, r) // the change takes effect
					disturb(w, answer)
				}))
				t.Cleanup(s.Close)
				api.Become(map[string]controlapi.Version{"v1": {Percent: 87.5, Deployed: true},
					"v2": {Percent: 12.5, Deployed: true}})
				a := bind(t, planner.NewSplit(httpapi.New(s.URL, ""), &quick{}), toHalf)
				work, _, err := run(t, a, func(int) error { return errStop })
				if !errors.Is(err, errStop) || api.Now()["v2"].Percent != 50 {
					t.Fatal(err)
				}
				left.Store(1)
				_, err = work.(playbook.Reverter).Revert(t.Context()) //nolint:forcetypeassert // as above
				if err != nil {
					t.Error(err)
				}
				if got := api.Now()["v2"].Percent; got != 12.5 || left.Load() > 0 {
					t.Errorf("v2 has %g%%, %d answers were not disturbed", got, left.Load())
				}
			})
		}
	}
}
