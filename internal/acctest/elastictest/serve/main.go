// Command serve runs the Elasticsearch that all test binaries of one run share; see elastictest.Serve. It ends when its
// standard input is closed, so no server outlives the script that started it.
package main

import (
	"io"
	"log"
	"os"

	"github.com/applylens/terraform-provider-remediation/internal/acctest/elastictest"
)

func main() {
	if err := elastictest.Serve(os.Getenv(elastictest.SharedVariable), wait); err != nil {
		log.Fatal(err)
	}
}

func wait() { _, _ = io.Copy(io.Discard, os.Stdin) }
