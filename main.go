// Command terraform-provider-remediation is a Terraform provider that turns incident playbooks into resources. Started
// with a command, such as review, it works without Terraform.
package main

import (
	"context"
	"flag"
	"log"
	"os"
	"os/signal"

	"github.com/applylens/terraform-provider-remediation/internal/commands"
	"github.com/applylens/terraform-provider-remediation/internal/provider"
)

// version is set by the linker at release.
var version = "dev"

// handshake is an environment variable that Terraform sets for the providers that it starts.
const handshake = "TF_PLUGIN_MAGIC_COOKIE"

func main() {
	if args := os.Args[1:]; commands.Is(args) || len(args) == 0 && os.Getenv(handshake) == "" {
		os.Exit(command(args))
	}
	debug := flag.Bool("debug", false, "run so that a debugger such as delve can attach")
	flag.Parse()
	if err := provider.Serve(context.Background(), provider.Options{Version: version, Debug: *debug}); err != nil {
		log.Fatal(err)
	}
}

// command runs a command for people until it ends or is interrupted.
func command(args []string) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	return commands.Run(ctx, commands.Environment{
		Stdin: os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr, Getenv: os.Getenv,
	}, version, args)
}
