package provider_test

import (
	"archive/zip"
	"bytes"
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// canary is a secret that is looked for. No encoding except Base64 changes the characters of its core.
type canary struct{ name, value, core string }

// newCanary makes a secret with characters that JSON, URLs, and Base64 encode differently.
func newCanary(name string) canary {
	const size = 12
	random := make([]byte, size)
	_, _ = rand.Read(random)
	core := "Kanarie" + hex.EncodeToString(random)
	return canary{name: name, core: core, value: core + `/+="&` + core[:size]}
}

// forms are the core itself, and its Base64 at any position in a longer text.
func (c canary) forms() []string {
	forms := []string{c.core}
	for before := range 3 {
		text := base64.StdEncoding.EncodeToString([]byte(strings.Repeat("x", before) + c.core))
		forms = append(forms, text[4:len(text)-4]) // without the characters that also depend on neighboring bytes
	}
	return forms
}

// searcher looks for canaries in texts.
type searcher struct {
	t        *testing.T
	canaries []canary
	// spared are files, or members of archives, in which Terraform itself may store canaries.
	spared func(name string) bool
	bytes  int
	files  int
}

// text fails the test if the text contains a canary.
func (s *searcher) text(where, text string) {
	s.t.Helper()
	s.files++
	s.bytes += len(text)
	if s.spared != nil && s.spared(where) {
		return
	}
	for _, c := range s.canaries {
		for _, form := range c.forms() {
			if at := strings.Index(text, form); at >= 0 {
				const around = 160
				s.t.Errorf("%s is in %s (as %q):\n...%q...", c.name, where, form,
					text[max(0, at-around):min(len(text), at+len(form)+around)])
				break
			}
		}
	}
}

// below fails the test if a file below dir, or its name, contains a canary. It also reads the files in archives.
func (s *searcher) below(dir string) {
	s.t.Helper()
	err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		s.text("the name "+path, path)
		if !entry.Type().IsRegular() {
			return nil
		}
		content, err := os.ReadFile(path) //nolint:gosec // the test's own files
		if err != nil {
			return err
		}
		s.text(path, string(content))
		return s.archive(path, content)
	})
	if err != nil {
		s.t.Fatal(err)
	}
}

func (s *searcher) archive(path string, content []byte) error {
	s.t.Helper()
	if !bytes.HasPrefix(content, []byte("PK\x03\x04")) {
		return nil
	}
	archive, err := zip.NewReader(bytes.NewReader(content), int64(len(content)))
	if err != nil {
		return err
	}
	for _, member := range archive.File {
		in, err := member.Open()
		if err != nil {
			return err
		}
		text, err := io.ReadAll(in)
		if err != nil {
			return err
		}
		s.text(path+"!"+member.Name, string(text))
	}
	return nil
}
