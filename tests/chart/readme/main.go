// Writes the README of a chart from the comments of its values: `readme CHART`, to standard output.
//
// It is no general tool: a value is documented by the comment above it that begins with `--`, and one that is not is an error.
package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"go.yaml.in/yaml/v3"
)

func main() {
	if err := run(os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(chart string) error {
	text, err := os.ReadFile(filepath.Join(chart, "values.yaml"))
	if err != nil {
		return err
	}
	frame, err := os.ReadFile(filepath.Join(chart, "README.md.in"))
	if err != nil {
		return err
	}
	var values yaml.Node
	if err := yaml.Unmarshal(text, &values); err != nil {
		return err
	}
	var table strings.Builder
	table.WriteString("| Value | Default | Means |\n|---|---|---|\n")
	if err := rows(&table, "", values.Content[0]); err != nil {
		return err
	}
	fmt.Print(strings.Replace(string(frame), "VALUES\n", table.String(), 1))
	return nil
}

// rows writes a line for each documented value below a mapping.
func rows(table *strings.Builder, prefix string, mapping *yaml.Node) error {
	for at := 0; at < len(mapping.Content); at += 2 {
		key, value := mapping.Content[at], mapping.Content[at+1]
		name := prefix + key.Value
		means, documented := description(key.HeadComment)
		switch {
		case documented:
			shown, err := compact(value)
			if err != nil {
				return fmt.Errorf("%s: %w", name, err)
			}
			fmt.Fprintf(table, "| `%s` | `%s` | %s |\n", name, shown, strings.ReplaceAll(means, "|", "\\|"))
		case value.Kind == yaml.MappingNode && len(value.Content) > 0:
			if err := rows(table, name+".", value); err != nil {
				return err
			}
		default:
			return fmt.Errorf("values.yaml:%d: %s has no comment that begins with `# -- `", key.Line, name)
		}
	}
	return nil
}

// description is what follows `--` in a comment, on one line.
func description(comment string) (string, bool) {
	var words []string
	begun := false
	for line := range strings.SplitSeq(comment, "\n") {
		line = strings.TrimSpace(strings.TrimPrefix(line, "#"))
		if tail, found := strings.CutPrefix(line, "-- "); found {
			words, begun, line = nil, true, tail
		}
		if begun {
			words = append(words, line)
		}
	}
	return strings.Join(words, " "), begun
}

// compact is a value as JSON on one line.
func compact(node *yaml.Node) (string, error) {
	var value any
	if err := node.Decode(&value); err != nil {
		return "", err
	}
	var text bytes.Buffer
	encoder := json.NewEncoder(&text)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(value); err != nil {
		return "", err
	}
	return strings.TrimSpace(text.String()), nil
}
