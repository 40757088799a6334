package dbt

import "errors"

// Errors from this package, for errors.Is. The *problem.Problem that wraps one explains it to people.
var (
	// ErrExecutable: dbt was not found or can't be executed.
	ErrExecutable = errors.New("dbt can't be executed")
	// ErrVersion: this version of dbt, or another program of that name, does not support what is needed.
	ErrVersion = errors.New("unsupported version of dbt")
	// ErrProjectMissing: the project folder does not exist or is not configured.
	ErrProjectMissing = errors.New("the dbt project does not exist")
	// ErrProjectNotFolder: the project path is not a folder.
	ErrProjectNotFolder = errors.New("the dbt project is not a folder")
	// ErrNotAProject: the folder contains no dbt_project.yml.
	ErrNotAProject = errors.New("the folder contains no dbt project")
	// ErrProjectMalformed: dbt_project.yml is malformed.
	ErrProjectMalformed = errors.New("dbt_project.yml is malformed")
	// ErrProfiles: profiles.yml is missing, malformed or lacks the project's profile.
	ErrProfiles = errors.New("dbt's profiles.yml can't be used")
	// ErrUnknownTarget: the profile has no such target.
	ErrUnknownTarget = errors.New("unknown dbt target")
	// ErrEnvironment: a variable is not allowed, or one that the project reads is not set.
	ErrEnvironment = errors.New("dbt's environment is invalid")
	// ErrSelection: a selector, thread count, or other field of a Selection is not valid.
	ErrSelection = errors.New("invalid dbt selection")
	// ErrNoMatch: the selection contains no model that dbt would run.
	ErrNoMatch = errors.New("no dbt model matches")
	// ErrUnknownModel: a selector matches nothing.
	ErrUnknownModel = errors.New("unknown dbt model")
	// ErrUnknownVar: no file of the project uses a variable given in vars.
	ErrUnknownVar = errors.New("unknown dbt variable")
	// ErrCompilation: dbt can't parse or compile the project.
	ErrCompilation = errors.New("dbt compilation error")
	// ErrPackagesMissing: packages are specified but not installed.
	ErrPackagesMissing = errors.New("dbt packages are not installed")
	// ErrPackages: dbt deps can't resolve or fetch a package.
	ErrPackages = errors.New("dbt packages can't be resolved")
	// ErrNoCopy: packages that dbt deps has resolved can't be installed in a copy of the project.
	ErrNoCopy = errors.New("dbt packages can't be installed in a copy")
	// ErrConnection: the warehouse can't be reached.
	ErrConnection = errors.New("dbt can't reach the warehouse")
	// ErrTimeout: the warehouse, or the whole run, took too long.
	ErrTimeout = errors.New("dbt timed out")
	// ErrPermission: the warehouse refuses the credentials or the operation.
	ErrPermission = errors.New("permission denied by the warehouse")
	// ErrLocked: another process has locked the database.
	ErrLocked = errors.New("the database is locked")
	// ErrSchemaChange: the columns of an incremental model have changed, and its configuration does not allow that.
	ErrSchemaChange = errors.New("the columns of an incremental model have changed")
	// ErrRelationMissing: a statement reads a relation that is not in the warehouse.
	ErrRelationMissing = errors.New("a table or view is missing")
	// ErrModelsFailed: dbt ran and at least one model failed (exit status 1).
	ErrModelsFailed = errors.New("dbt models failed")
	// ErrUnhandled: dbt stopped with an internal error (exit status 2 or another).
	ErrUnhandled = errors.New("dbt stopped with an error")
	// ErrCancelled: the run was stopped because the caller's context ended.
	ErrCancelled = errors.New("the dbt run was stopped")
	// ErrInterrupted: someone else stopped the run.
	ErrInterrupted = errors.New("the dbt run was interrupted")
	// ErrNeverStarted: dbt was never started in the folder.
	ErrNeverStarted = errors.New("dbt was never started")
	// ErrOutcomeUnknown: dbt was started and has ended without leaving a result.
	ErrOutcomeUnknown = errors.New("the outcome of the dbt run is unknown")
	// ErrReadOnly: the project's folder can't be written.
	ErrReadOnly = errors.New("the dbt project can't be written")
	// ErrNothingSaved: RestorePackages found no complete copy.
	ErrNothingSaved = errors.New("no copy of the packages was saved")
	// ErrNoInterface: the executable is not dbt's own entry point, so its programmatic interface can't be used.
	ErrNoInterface = errors.New("the executable is not dbt's own entry point")
	// ErrNotReviewed: dbt would run, or ran, something other than what was reviewed.
	ErrNotReviewed = errors.New("not what was reviewed")
	// ErrWorkDir: the scratch folder can't be used.
	ErrWorkDir = errors.New("the dbt work folder can't be used")
)
