package proc

import "strings"

// words splits the text of an environment variable into arguments as Terraform does: at blanks outside of quotes, with
// a backslash before a character that has no meaning. Arguments end at a character that ends a command in a shell, such
// as ";". It returns nil for text that Terraform refuses, such as an open quote.
func words(text string) []string {
	var (
		found   []string
		word    strings.Builder
		begun   bool // a quoted word can be empty
		escaped bool
		quote   rune // the open one, or zero
	)
	end := func() {
		if begun {
			found = append(found, word.String())
		}
		begun = false
		word.Reset()
	}
	for _, r := range text {
		switch {
		case escaped:
			escaped, begun = false, true
			word.WriteRune(r)
		case r == '\\' && quote != '\'':
			escaped = true
		case r == quote:
			quote = 0
		case quote != 0:
			word.WriteRune(r)
		case r == '"' || r == '\'':
			quote, begun = r, true
		case strings.ContainsRune(" \t\r\n", r):
			end()
		case strings.ContainsRune(";&|<>", r):
			end()
			return found
		default:
			begun = true
			word.WriteRune(r)
		}
	}
	if escaped || quote != 0 {
		return nil
	}
	end()
	return found
}
