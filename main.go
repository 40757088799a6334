// Command terraform-provider-remediation is a Terraform provider that turns incident playbooks into resources.
package main

import (
	"context"
	"flag"
	"log"

	"github.com/applylens/terraform-provider-remediation/internal/provider"
)

// version is set by the linker at release.
var version = "dev"

func main() {
	debug := flag.Bool("debug", false, "run so that a debugger such as delve can attach")
	flag.Parse()
	if err := provider.Serve(context.Background(), provider.Options{Version: version, Debug: *debug}); err != nil {
		log.Fatal(err)
	}
}
