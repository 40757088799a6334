// Package faultproxy is a proxy in front of an HTTP server. It injects faults into chosen requests, as networks,
// proxies, and overloaded servers do, and records what the server really received.
package faultproxy

import (
	"bytes"
	"context"
	"io"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"
)

// Fault is what happens to a request.
type Fault string

// Faults. After "after it was done", the server has performed the request.
const (
	Busy        Fault = "429"
	BusyFor     Fault = "429 with Retry-After"
	Broken      Fault = "500"
	BrokenAfter Fault = "500 after it was done"
	Unavailable Fault = "503"
	ResetBefore Fault = "a reset before the request is passed on"
	ResetDuring Fault = "a reset in the middle of the answer"
	ResetAfter  Fault = "a reset after it was done"
	Slow        Fault = "an answer in small pieces"
	Truncated   Fault = "half an answer that claims to be whole"
	WrongType   Fault = "a page of something else"
	Huge        Fault = "an endless answer"
)

// Faults lists all faults.
func Faults() []Fault {
	return []Fault{
		Busy, BusyFor, Broken, BrokenAfter, Unavailable, ResetBefore, ResetDuring, ResetAfter, Slow, Truncated,
		WrongType, Huge,
	}
}

// PassedOn reports whether the server receives the request in spite of the fault.
func (f Fault) PassedOn() bool {
	return slices.Contains([]Fault{"", BrokenAfter, ResetDuring, ResetAfter, Slow, Truncated, Huge}, f)
}

// HugeSize is the size of an endless answer in bytes, unless the client hangs up before its end.
const HugeSize = 512 << 20

// Seen is a request that the proxy received.
type Seen struct {
	Method, URI, Body string
	// Fault is the injected fault, or empty.
	Fault Fault
}

// Proxy is a running proxy.
type Proxy struct {
	// URL is its address.
	URL string

	server http.Handler
	mu     sync.Mutex
	fault  Fault
	from   int
	times  int
	seen   []Seen
}

// Start starts a proxy in front of the server at an address, and stops it at the end of the test.
func Start(t testing.TB, upstream string) *Proxy {
	t.Helper()
	to, err := url.Parse(upstream)
	if err != nil {
		t.Fatal(err)
	}
	forward := httputil.NewSingleHostReverseProxy(to)
	forward.ErrorHandler = func(w http.ResponseWriter, _ *http.Request,
		_ error) {
		w.WriteHeader(http.StatusBadGateway)
	}
	return Before(t, forward)
}

// Before is Start for a server in this process.
func Before(t testing.TB, server http.Handler) *Proxy {
	t.Helper()
	p := &Proxy{server: server}
	s := httptest.NewServer(p)
	// Don't log connections that were cut off.
	s.Config.ErrorLog = nil
	p.URL = s.URL
	t.Cleanup(s.Close)
	return p
}

// Spoil injects the fault into this many requests, beginning with the nth from now (counted from 0). It forgets earlier
// requests.
func (p *Proxy) Spoil(f Fault, nth, times int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.fault, p.from, p.times, p.seen = f, nth, times, nil
}

// Seen returns the requests since the last Spoil.
func (p *Proxy) Seen() []Seen {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.seen)
}

// note records the request and returns its fault.
func (p *Proxy) note(r *http.Request, body []byte) Fault {
	p.mu.Lock()
	defer p.mu.Unlock()
	s := Seen{Method: r.Method, URI: r.URL.RequestURI(), Body: string(body)}
	if n := len(p.seen); n >= p.from && n < p.from+p.times {
		s.Fault = p.fault
	}
	p.seen = append(p.seen, s)
	return s.Fault
}

// ServeHTTP implements http.Handler.
func (p *Proxy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return // its sender is gone
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	f := p.note(r, body)
	answer := httptest.NewRecorder()
	if f.PassedOn() {
		// The server completes a request that has arrived, even if its sender is gone.
		p.server.ServeHTTP(answer, r.WithContext(context.WithoutCancel(r.Context())))
	}
	text := answer.Body.Bytes()
	switch f {
	case Busy, BusyFor, Broken, BrokenAfter, Unavailable:
		refuse(w, f)
	case ResetBefore, ResetAfter:
		reset(w, nil)
	case ResetDuring:
		reset(w, head(answer, text))
	case Truncated:
		maps.Copy(w.Header(), answer.Header())
		w.Header().Set("Content-Length", strconv.Itoa(len(text)/2))
		w.WriteHeader(answer.Code)
		_, _ = w.Write(text[:len(text)/2])
	case WrongType:
		w.Header().Set("Content-Type", "text/html")
		_, _ = io.WriteString(w, "<html><body>Please log in</body></html>")
	case Slow:
		maps.Copy(w.Header(), answer.Header())
		w.Header().Del("Content-Length")
		w.WriteHeader(answer.Code)
		trickle(w, text)
	case Huge:
		maps.Copy(w.Header(), answer.Header())
		w.Header().Del("Content-Length")
		w.Header().Del("Content-Encoding")
		w.WriteHeader(answer.Code)
		flood(w)
	default:
		maps.Copy(w.Header(), answer.Header())
		w.WriteHeader(answer.Code)
		_, _ = w.Write(text)
	}
}

func refuse(w http.ResponseWriter, f Fault) {
	switch f {
	case BusyFor:
		w.Header().Set("Retry-After", "1")
		w.WriteHeader(http.StatusTooManyRequests)
	case Busy:
		w.WriteHeader(http.StatusTooManyRequests)
	case Unavailable:
		w.WriteHeader(http.StatusServiceUnavailable)
	default:
		w.WriteHeader(http.StatusInternalServerError)
	}
	_, _ = io.WriteString(w, "out of order")
}

// head is the answer as it goes over the wire, up to half of its body.
func head(answer *httptest.ResponseRecorder, text []byte) []byte {
	var b bytes.Buffer
	header := answer.Header().Clone()
	header.Set("Content-Length", strconv.Itoa(max(len(text), 2)))
	b.WriteString("HTTP/1.1 " + strconv.Itoa(answer.Code) + " " + http.StatusText(answer.Code) + "\r\n")
	_ = header.Write(&b)
	b.WriteString("\r\n")
	b.Write(text[:len(text)/2])
	return b.Bytes()
}

// reset sends the text and then resets the connection.
func reset(w http.ResponseWriter, first []byte) {
	hijacker, ok := w.(http.Hijacker)
	if !ok {
		return
	}
	conn, _, err := hijacker.Hijack()
	if err != nil {
		return
	}
	if len(first) > 0 {
		const travel = 20 * time.Millisecond
		_, _ = conn.Write(first)
		time.Sleep(travel) // a reset overtakes what is not read yet
	}
	if tcp, ok := conn.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0)
	}
	_ = conn.Close()
}

// trickle writes the text in small pieces with pauses, in less than a second.
func trickle(w http.ResponseWriter, text []byte) {
	const pieces, pause = 20, 30 * time.Millisecond
	flusher, _ := w.(http.Flusher)
	for chunk := range slices.Chunk(text, len(text)/pieces+1) {
		if _, err := w.Write(chunk); err != nil {
			return
		}
		if flusher != nil {
			flusher.Flush()
		}
		time.Sleep(pause)
	}
}

// flood writes a JSON string without an end until the client hangs up.
func flood(w http.ResponseWriter) {
	block := bytes.Repeat([]byte("a"), 1<<20)
	if _, err := io.WriteString(w, `{"a":"`); err != nil {
		return
	}
	for sent := 0; sent < HugeSize; sent += len(block) {
		if _, err := w.Write(block); err != nil {
			return
		}
	}
}
