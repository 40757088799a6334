// Package dbt drives dbt Core: it finds out what a selection would run, runs exactly that, finds a run again after this
// process died, and works out what `dbt deps` would change. It knows nothing of Terraform or of playbooks.
//
// # What was reviewed is what runs
//
// Where Config.Executable is dbt's own entry point, one helper process (folder helper, Python) asks dbt through its
// programmatic interface. It resolves profile and connection, parses the project the way `dbt run` parses it, selects
// with dbt's own NodeSelector, and gives a checksum of what each selected model runs: its text, configuration, relation,
// hooks, and every macro that can be reached by name. It compiles nothing, opens no connection through dbt, and loads no
// plugin that a profile names. The same code runs the models: it compares what dbt has parsed and selected with what was
// reviewed, and then lets dbt run that same object.
//
// Of any other executable, such as a script that starts a container, only the command line is known. There `dbt ls`
// selects, the files of the project are compared before a run, and run_results.json afterwards.
//
// # The command shown is the command run
//
// What decides which models run, and how, is on the command line ([CLI.RunCommand]) and nowhere else. The rest (folders
// of the project, the profiles, artifacts and logs, and the log's format) travels in dbt's own environment variables.
// dbt's process gets an environment of our making:
//
//   - from this process: what programs in general need (PATH, HOME, USER, LANG, LC_*, TZ, TMPDIR, proxies, certificates),
//     what warehouse adapters find credentials by (AWS_*, AZURE_*, GOOGLE_APPLICATION_CREDENTIALS, Kerberos, ODBC,
//     PostgreSQL's files), what git needs for packages (SSH_AUTH_SOCK, GIT_SSH_COMMAND), and the names that dbt reserves
//     for projects (DBT_ENV_SECRET_*, DBT_ENV_CUSTOM_ENV_*);
//   - Config.Environment, for everything else that profiles and models ask for by env_var();
//   - the variables that this package sets itself.
//
// A DBT_FULL_REFRESH=1 in somebody's shell does not turn an incremental run into a full refresh that nobody approved.
// Config.Environment refuses it.
//
// # Secrets
//
// Values of Config.Environment, of DBT_ENV_SECRET_* and of inherited variables whose names look like credentials are
// masked in logs, errors, results and the artifacts that stay. dbt writes to private files (mode 0600) while it runs,
// not to a pipe, because it survives our death. They are masked into the public logs as they grow, and removed when the
// run is over. A saved parse that holds such a value is not kept.
//
// # Folders
//
// Config.WorkDir holds the cache of listings (list/), of dbt's saved parses (parse/) and of package previews (deps/),
// and scratch folders. Cache entries are sealed with Config.SealKey, which lies elsewhere: an entry that somebody else
// wrote is ignored. The folder of an execution holds process.json (who runs it), dbt.log for people, dbt.jsonl and
// stderr.log, target/ and, for packages, packages/.
package dbt
