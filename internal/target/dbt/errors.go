package dbt

import "errors"

// Errors of this package, to be told apart with errors.Is. What people read is the *problem.Problem that wraps them.
var (
	// ErrExecutable: dbt is missing or can't be executed.
	ErrExecutable = errors.New("dbt can't be executed")
	// ErrProjectMissing: the project folder does not exist or is not named.
	ErrProjectMissing = errors.New("the dbt project does not exist")
	// ErrProjectNotFolder: the project folder is something else.
	ErrProjectNotFolder = errors.New("the dbt project is not a folder")
	// ErrNotAProject: the folder holds no dbt_project.yml.
	ErrNotAProject = errors.New("the folder holds no dbt project")
	// ErrProjectMalformed: dbt_project.yml can't be understood.
	ErrProjectMalformed = errors.New("dbt_project.yml is malformed")
	// ErrProfiles: profiles.yml is missing, malformed or lacks the project's profile.
	ErrProfiles = errors.New("dbt's profiles.yml can't be used")
	// ErrUnknownTarget: the profile has no such target.
	ErrUnknownTarget = errors.New("unknown dbt target")
	// ErrEnvironment: a variable is not allowed, or one that the project asks for is not set.
	ErrEnvironment = errors.New("dbt's environment is not right")
	// ErrSelection: a selector, thread count or other part of a Selection is not valid.
	ErrSelection = errors.New("invalid dbt selection")
	// ErrNoMatch: the selection holds no model that dbt would run.
	ErrNoMatch = errors.New("no dbt model matches")
	// ErrUnknownModel: part of the selection matches nothing.
	ErrUnknownModel = errors.New("unknown dbt model")
	// ErrUnknownVar: a variable given for --vars is known to no file of the project.
	ErrUnknownVar = errors.New("unknown dbt variable")
	// ErrCompilation: dbt can't parse or compile the project.
	ErrCompilation = errors.New("dbt compilation error")
	// ErrPackagesMissing: packages are specified but not installed.
	ErrPackagesMissing = errors.New("dbt packages are not installed")
	// ErrPackages: dbt deps can't resolve or fetch a package.
	ErrPackages = errors.New("dbt packages can't be resolved")
	// ErrConnection: the warehouse can't be reached.
	ErrConnection = errors.New("dbt can't reach the warehouse")
	// ErrTimeout: the warehouse, or the whole run, took too long.
	ErrTimeout = errors.New("dbt timed out")
	// ErrPermission: the warehouse refuses the credentials or the operation.
	ErrPermission = errors.New("permission denied by the warehouse")
	// ErrLocked: another process holds the database.
	ErrLocked = errors.New("the database is locked")
	// ErrSchemaChange: the columns of an incremental model have changed, and its configuration refuses that.
	ErrSchemaChange = errors.New("the columns of an incremental model have changed")
	// ErrRelationMissing: a statement reads what is not in the warehouse.
	ErrRelationMissing = errors.New("a table or view is missing")
	// ErrModelsFailed: dbt ran and at least one model failed (exit status 1).
	ErrModelsFailed = errors.New("dbt models failed")
	// ErrUnhandled: dbt stopped with an error of its own (exit status 2 or another).
	ErrUnhandled = errors.New("dbt stopped with an error")
	// ErrCancelled: the run was stopped because the caller's context ended.
	ErrCancelled = errors.New("the dbt run was stopped")
	// ErrInterrupted: somebody else stopped the run.
	ErrInterrupted = errors.New("the dbt run was interrupted")
	// ErrNeverStarted: no dbt was ever started for the folder.
	ErrNeverStarted = errors.New("dbt was never started")
	// ErrOutcomeUnknown: dbt was started, is gone, and left nothing that tells how it ended.
	ErrOutcomeUnknown = errors.New("the outcome of the dbt run is unknown")
	// ErrNothingSaved: RestorePackages found no complete copy.
	ErrNothingSaved = errors.New("no copy of the packages was saved")
	// ErrNoInterface: the executable is not dbt's own entry point, so its programmatic interface can't be used.
	ErrNoInterface = errors.New("the executable is not dbt's own entry point")
	// ErrNotReviewed: dbt would run, or ran, something else than what was reviewed.
	ErrNotReviewed = errors.New("not what was reviewed")
	// ErrWorkDir: the scratch folder can't be used.
	ErrWorkDir = errors.New("the dbt work folder can't be used")
)
