// Package page builds self-contained HTML pages: one file that loads nothing, with light, dark, and print styles.
package page

import (
	"crypto/sha256"
	"encoding/base64"
	"fmt"

	"github.com/applylens/terraform-provider-remediation/internal/markup"
)

// style is the style of every page. Colors have a contrast ratio of at least 4.5 to their background.
const style = `
:root { color-scheme: light dark; --text: #1b1f24; --dim: #57606a; --line: #d0d7de; --back: #ffffff; --box: #f6f8fa;
  --good: #116329; --bad: #b3151f; --warn: #7d4e00; --mark: #0550ae; }
@media (prefers-color-scheme: dark) { :root { --text: #e6edf3; --dim: #9198a1; --line: #3d444d; --back: #0d1117;
  --box: #151b23; --good: #56d364; --bad: #ff7b72; --warn: #e3b341; --mark: #79c0ff; } }
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 1.5rem; max-width: 80rem; color: var(--text); background: var(--back);
  font: 15px/1.5 system-ui, sans-serif; }
h1 { font-size: 1.5rem; margin: 0 0 .25rem; } h2 { font-size: 1.15rem; margin: 2rem 0 .5rem; }
p { margin: .25rem 0; } .dim { color: var(--dim); }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; }
th, td { text-align: left; vertical-align: top; padding: .35rem .6rem; border-bottom: 1px solid var(--line);
  overflow-wrap: anywhere; }
th { font-weight: 600; } thead th { background: var(--box); }
code, pre { font: 13px/1.45 ui-monospace, monospace; }
pre { background: var(--box); border: 1px solid var(--line); border-radius: 6px; padding: .75rem; overflow-x: auto; }
details { margin: .5rem 0; } summary { cursor: pointer; }
:focus-visible { outline: 2px solid var(--mark); outline-offset: 2px; }
.success, .low { color: var(--good); } .failed, .high, .missing { color: var(--bad); font-weight: 600; }
.cancelled, .unknown, .medium { color: var(--warn); }
@media print { body { max-width: none; padding: 0; } pre { white-space: pre-wrap; } tr, figure { break-inside: avoid; }
  .screen { display: none; } }
`

// Page is one HTML page.
type Page struct {
	Title string
	// Body is HTML, inserted as it is. Style is CSS, added to the style of every page. Script is JavaScript, or empty.
	Body, Style, Script string
}

// HTML returns the page. Its content security policy lets it load nothing, and run no script except Script.
func (p Page) HTML() string {
	policy, script := "default-src 'none'; style-src 'unsafe-inline'; img-src data:", ""
	if p.Script != "" {
		sum := sha256.Sum256([]byte(p.Script))
		policy += "; script-src 'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"
		script = "<script>" + p.Script + "</script>\n"
	}
	return fmt.Sprintf(`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="%s">
<link rel="icon" href="data:,">
<title>%s</title>
<style>%s%s</style>
</head>
<body>
<main>
%s</main>
%s</body>
</html>
`, policy, markup.HTML(p.Title), style, p.Style, p.Body, script)
}
