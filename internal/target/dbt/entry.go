package dbt

import (
	"os"
	"path/filepath"
	"regexp"
)

// maxEntryPoint is the size in bytes of the largest file that can be dbt's entry point. pip writes about 250.
const maxEntryPoint = 8 << 10

// directInterpreter and throughShell match the first lines of the scripts that pip, pipx, uv, and conda write. An
// interpreter whose path is too long for the kernel or contains blanks is started through /bin/sh. importsEntryPoint
// matches the import in dbt's own entry point.
var (
	directInterpreter = regexp.MustCompile(`\A#!\s*(\S*python[0-9.]*)\s*\n`)
	throughShell      = regexp.MustCompile(`\A#!\s*/bin/sh\s*\n'''exec' (?:"([^"]+)"|(\S+)) "\$0" "\$@"`)
	importsEntryPoint = regexp.MustCompile(`(?m)^from dbt\.cli\.main import cli\b`)
)

// interpreter returns the Python of the executable at path if that is dbt's own entry point. It is unknown what any
// other executable does, such as a wrapper that starts a container, so dbt's programmatic interface can't be used with
// it.
func interpreter(path string) (python string, ok bool) {
	real, err := filepath.EvalSymlinks(path)
	if err != nil {
		return "", false
	}
	info, err := os.Stat(real)
	if err != nil || info.Size() > maxEntryPoint {
		return "", false
	}
	data, err := os.ReadFile(real)
	if err != nil || !importsEntryPoint.Match(data) {
		return "", false
	}
	if m := directInterpreter.FindSubmatch(data); m != nil {
		python = string(m[1])
	} else if m := throughShell.FindSubmatch(data); m != nil {
		python = string(m[1]) + string(m[2])
	}
	return python, filepath.IsAbs(python)
}
