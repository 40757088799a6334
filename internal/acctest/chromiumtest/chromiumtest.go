// Package chromiumtest opens pages in a headless Chromium, presses keys, and reads what a user and a screen reader
// would notice.
package chromiumtest

import (
	"bufio"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/net/websocket"
)

// timeout bounds the start of Chromium, and each answer.
const timeout = time.Minute

// Page is an open page.
type Page struct {
	t    testing.TB
	conn *websocket.Conn
	id   int
	// problems are errors that the page wrote to its console, and exceptions.
	problems []string
	session  string
}

// message is a message of the Chrome DevTools Protocol.
type message struct {
	ID      int             `json:"id,omitempty"`
	Method  string          `json:"method,omitempty"`
	Params  json.RawMessage `json:"params,omitempty"`
	Result  json.RawMessage `json:"result,omitempty"`
	Session string          `json:"sessionId,omitempty"`
	Error   *struct {
		Message string `json:"message"`
	} `json:"error,omitempty"`
}

// Open starts Chromium and opens a file. more are further arguments of Chromium.
func Open(t testing.TB, file string, more ...string) *Page {
	t.Helper()
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	args := append([]string{"--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
		"--hide-scrollbars", "--window-size=1200,900", "--remote-debugging-port=0", "--remote-allow-origins=*",
		"--user-data-dir=" + t.TempDir(), "--no-first-run", "--disable-background-networking",
		"--host-resolver-rules=MAP * ~NOTFOUND"}, more...)
	cmd := exec.CommandContext(ctx, program(t), append(args, "about:blank")...)
	cmd.WaitDelay = timeout
	// Chromium is several processes, all of which write to the folder that the test removes.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	stderr, err := cmd.StderrPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		cancel()
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cancel()
		_ = cmd.Wait() // it was killed
		const pause = 10 * time.Millisecond
		for waited := time.Duration(0); syscall.Kill(-cmd.Process.Pid, 0) == nil && waited < timeout; waited += pause {
			time.Sleep(pause)
		}
	})
	p := &Page{t: t, conn: dial(t, stderr)}
	t.Cleanup(func() { _ = p.conn.Close() }) // Chromium ends anyway
	p.attach()
	for _, domain := range []string{"Page", "Runtime", "Log", "Network", "Accessibility"} {
		p.Call(domain+".enable", nil, nil)
	}
	p.Call("Page.navigate", map[string]any{"url": "file://" + file}, nil)
	p.Until("document.readyState === 'complete' && location.protocol === 'file:'")
	return p
}

// program is the name that the distribution gives to Chromium.
func program(t testing.TB) string {
	t.Helper()
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	t.Fatal("chromium is not on the PATH: install it, or run make setup")
	return ""
}

// dial connects to the address that Chromium prints when it has started.
func dial(t testing.TB, stderr io.Reader) *websocket.Conn {
	t.Helper()
	found := make(chan string, 1)
	go func() {
		listening := regexp.MustCompile(`DevTools listening on (ws://\S+)`)
		scanner := bufio.NewScanner(stderr)
		for scanner.Scan() {
			if m := listening.FindStringSubmatch(scanner.Text()); m != nil {
				found <- m[1]
			}
		}
	}()
	select {
	case address := <-found:
		conn, err := websocket.Dial(address, "", "http://127.0.0.1/")
		if err != nil {
			t.Fatal(err)
		}
		conn.MaxPayloadBytes = 256 << 20
		return conn
	case <-time.After(timeout):
		t.Fatal("Chromium does not start")
		return nil
	}
}

// attach opens a session with the first page.
func (p *Page) attach() {
	p.t.Helper()
	var targets struct {
		Infos []struct {
			ID   string `json:"targetId"`
			Type string `json:"type"`
		} `json:"targetInfos"`
	}
	p.Call("Target.getTargets", nil, &targets)
	for _, info := range targets.Infos {
		if info.Type != "page" {
			continue
		}
		var attached struct {
			Session string `json:"sessionId"`
		}
		p.Call("Target.attachToTarget", map[string]any{"targetId": info.ID, "flatten": true}, &attached)
		p.session = attached.Session
		return
	}
	p.t.Fatal("Chromium has no page")
}

// Call calls a method of the protocol, and decodes its result.
func (p *Page) Call(method string, params, into any) {
	p.t.Helper()
	p.id++
	text, err := json.Marshal(params)
	if err != nil {
		p.t.Fatal(err)
	}
	if params == nil {
		text = []byte("{}")
	}
	request := message{ID: p.id, Method: method, Params: text, Session: p.session}
	if err := websocket.JSON.Send(p.conn, request); err != nil {
		p.t.Fatal(err)
	}
	if err := p.conn.SetReadDeadline(time.Now().Add(timeout)); err != nil {
		p.t.Fatal(err)
	}
	for {
		var m message
		if err := websocket.JSON.Receive(p.conn, &m); err != nil {
			p.t.Fatalf("%s: %v", method, err)
		}
		if m.ID != p.id {
			p.note(m)
			continue
		}
		if m.Error != nil {
			p.t.Fatalf("%s: %s", method, m.Error.Message)
		}
		if into != nil {
			if err := json.Unmarshal(m.Result, into); err != nil {
				p.t.Fatal(err)
			}
		}
		return
	}
}

// note keeps what must not happen: exceptions, errors in the console, and requests for anything but the file.
func (p *Page) note(m message) {
	text := string(m.Params)
	switch m.Method {
	case "Runtime.exceptionThrown":
		p.problems = append(p.problems, text)
	case "Runtime.consoleAPICalled", "Log.entryAdded":
		if strings.Contains(text, `"error"`) || strings.Contains(text, `"warning"`) {
			p.problems = append(p.problems, text)
		}
	case "Network.requestWillBeSent":
		if !strings.Contains(text, `"url":"file://`) && !strings.Contains(text, `"url":"data:`) {
			p.problems = append(p.problems, text)
		}
	}
}

// Problems returns the errors in the console, exceptions, and requests to the network, up to now.
func (p *Page) Problems() []string {
	p.t.Helper()
	p.Eval("1", nil) // what was sent before has arrived then
	return p.problems
}

// Eval decodes the value of a JavaScript expression.
func (p *Page) Eval(expression string, into any) {
	p.t.Helper()
	var out struct {
		Result struct {
			Value json.RawMessage `json:"value"`
		} `json:"result"`
		Exception *json.RawMessage `json:"exceptionDetails"`
	}
	p.Call("Runtime.evaluate", map[string]any{"expression": expression, "returnByValue": true}, &out)
	if out.Exception != nil {
		p.t.Fatalf("%s: %s", expression, *out.Exception)
	}
	if into != nil {
		if err := json.Unmarshal(out.Result.Value, into); err != nil {
			p.t.Fatalf("%s: %v", expression, err)
		}
	}
}

// Until waits until a JavaScript expression is true.
func (p *Page) Until(expression string) {
	p.t.Helper()
	for end := time.Now().Add(timeout); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		var yes bool
		if p.Eval("Boolean("+expression+")", &yes); yes {
			return
		}
	}
	p.t.Fatalf("never true: %s", expression)
}

// Press presses a key: "Tab", "Enter", or "End".
func (p *Page) Press(key string) {
	p.t.Helper()
	codes := map[string]int{"Tab": 9, "Enter": 13, "End": 35}
	for _, kind := range []string{"keyDown", "keyUp"} {
		event := map[string]any{"type": kind, "key": key, "code": key, "windowsVirtualKeyCode": codes[key]}
		if key == "Enter" && kind == "keyDown" {
			event["text"] = "\r"
		}
		p.Call("Input.dispatchKeyEvent", event, nil)
	}
}

// Unnamed returns the roles of the accessible objects that need a name and have none.
func (p *Page) Unnamed() []string {
	p.t.Helper()
	type value struct {
		Value any `json:"value"`
	}
	var tree struct {
		Nodes []struct {
			Ignored bool  `json:"ignored"`
			Role    value `json:"role"`
			Name    value `json:"name"`
		} `json:"nodes"`
	}
	p.Call("Accessibility.getFullAXTree", nil, &tree)
	need := map[any]bool{"image": true, "img": true, "button": true, "link": true, "region": true, "table": true,
		"columnheader": true, "heading": true, "RootWebArea": true, "DisclosureTriangle": true}
	var out []string
	for _, n := range tree.Nodes {
		if !n.Ignored && need[n.Role.Value] && (n.Name.Value == nil || n.Name.Value == "") {
			out = append(out, fmt.Sprint(n.Role.Value))
		}
	}
	return out
}

// Screenshot writes the page as a PNG.
func (p *Page) Screenshot(file string) {
	p.t.Helper()
	var shot struct {
		Data string `json:"data"`
	}
	p.Call("Page.captureScreenshot", map[string]any{"format": "png", "captureBeyondViewport": true}, &shot)
	png, err := base64.StdEncoding.DecodeString(shot.Data)
	if err != nil {
		p.t.Fatal(err)
	}
	const mode = 0o600
	if err := os.WriteFile(file, png, mode); err != nil {
		p.t.Fatal(err)
	}
}
