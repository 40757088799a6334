// Command terraform-provider-remediation is a Terraform provider that turns incident playbooks into resources.
package main

import (
	"context"
	"flag"
	"log"

	"github.com/hashicorp/terraform-plugin-framework/providerserver"

	"github.com/applylens/terraform-provider-remediation/internal/provider"
)

// version is set by the linker at release.
var version = "dev"

// address is the provider's source address, host included, as the plugin protocol wants it.
const address = "registry.terraform.io/applylens/remediation"

func main() {
	debug := flag.Bool("debug", false, "run so that a debugger such as delve can attach")
	flag.Parse()
	err := providerserver.Serve(context.Background(), provider.New(version), providerserver.ServeOpts{
		Address: address, Debug: *debug, ProtocolVersion: 6,
	})
	if err != nil {
		log.Fatal(err)
	}
}
