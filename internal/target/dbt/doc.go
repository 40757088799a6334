// Package dbt drives dbt Core: it finds out what a selection would run, runs exactly that, finds a run again after this
// process died, and finds out what `dbt deps` would change. It does not depend on Terraform or on playbooks.
//
// # What was reviewed is what runs
//
// If Config.Executable is dbt's own entry point, one helper process (folder helper, Python) calls dbt through its
// programmatic interface. It resolves the profile and the connection, parses the project the way `dbt run` does,
// selects with dbt's own NodeSelector, and returns a checksum of what each selected model runs: its text,
// configuration, relation, hooks, and every macro that can be reached by name. A review compiles nothing, opens no
// connection to the warehouse, and loads no plugin that a profile names; only [CLI.Catalog] reads the warehouse. The
// same code runs the models: it compares what dbt has parsed and selected with what was reviewed, and then lets dbt run
// exactly what was compared.
//
// Any other executable, such as a script that starts a container, can only be driven by its command line. Then `dbt ls`
// selects, the files of the project are compared before a run, and run_results.json is compared afterwards.
//
// # The command shown is the command run
//
// Everything that decides which models run, and how, is on the command line ([CLI.RunCommand]). The rest (folders of
// the project, the profiles, artifacts, logs, and the log's format) is passed in dbt's own environment variables. This
// package builds the environment of dbt's process from:
//
//   - this process: what programs in general need (PATH, HOME, USER, LANG, LC_*, TZ, TMPDIR, proxies, certificates),
//     where warehouse adapters find credentials (AWS_*, AZURE_*, GOOGLE_APPLICATION_CREDENTIALS, Kerberos, ODBC,
//     PostgreSQL's files), what git needs for packages (SSH_AUTH_SOCK, GIT_SSH_COMMAND), and the names that dbt
//     reserves for projects (DBT_ENV_SECRET_*, DBT_ENV_CUSTOM_ENV_*);
//   - Config.Environment, for everything else that profiles and models read with env_var();
//   - the variables that this package sets itself.
//
// A DBT_FULL_REFRESH=1 in a shell does not turn an incremental run into a full refresh that nobody approved.
// Config.Environment refuses it.
//
// # Secrets
//
// Values of Config.Environment (see there), of DBT_ENV_SECRET_*, and of inherited variables whose names look like
// credentials are masked in logs, errors, results, and the artifacts that are kept. While dbt runs it writes to private
// files (mode 0600) and not to a pipe, because it can outlive this process. As they grow, they are copied into the
// public logs with secrets masked, and at the end of the run they are removed. A saved parse that contains such a value
// is not kept.
//
// # Folders
//
// Config.WorkDir contains the cache of listings (list/), of dbt's saved parses (parse/), of package previews (deps/),
// and scratch folders. A cache entry counts only if this process wrote it, or if the journal names its SHA-256. The
// folder of an execution contains process.json (who runs it), dbt.log for people, dbt.jsonl and stderr.log, target/
// and, for packages, packages/.
package dbt
