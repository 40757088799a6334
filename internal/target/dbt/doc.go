// Package dbt drives dbt Core through its command line: it looks at what a selection would run, runs it, finds a run
// again after this process died, and works out what `dbt deps` would change. It knows nothing of Terraform or of
// playbooks.
//
// # The command shown is the command run
//
// What decides which models run, and how, is on the command line ([CLI.RunCommand]) and nowhere else. The rest (where
// the project and the profiles lie, where artifacts and logs go, their format) travels in dbt's own environment
// variables. dbt's process gets an environment of our making:
//
//   - from this process: what programs in general need (PATH, HOME, USER, LANG, LC_*, TZ, TMPDIR, proxies, certificates), what
//     warehouse adapters find credentials by (AWS_*, AZURE_*, GOOGLE_APPLICATION_CREDENTIALS, Kerberos, ODBC, PostgreSQL's files), what git needs for
//     packages (SSH_AUTH_SOCK, GIT_SSH_COMMAND), and the names that dbt reserves for projects (DBT_ENV_SECRET_*, DBT_ENV_CUSTOM_ENV_*);
//   - Config.Environment, for everything else that profiles and models ask for by env_var();
//   - the variables that this package sets itself.
//
// So a DBT_FULL_REFRESH=1 in somebody's shell does not turn an incremental run into a full refresh that nobody
// approved, and in Config.Environment it is refused.
//
// # Secrets
//
// Values of Config.Environment, of DBT_ENV_SECRET_* and of inherited variables whose names sound like credentials are
// masked in logs, errors, results and the artifacts that stay. dbt writes to private files (mode 0600) while it runs,
// not to a pipe, so that it survives our death; they are masked into the public log as they grow and removed when the
// run is over. A parse cache that holds such a value is not kept.
//
// # Folders
//
// Config.WorkDir holds the cache of listings (list/), of dbt's parse state (parse/) and of package previews (deps/),
// and scratch folders. The folder of an execution holds process.json (who runs it), dbt.jsonl and stderr.log, target/
// and, for packages, packages/.
package dbt
