"""The routes, one module per group; each makes its router from the ``Context``."""

from serve_app.api.routes import (
    ab_tests,
    edits,
    files,
    health,
    job_outputs,
    jobs,
    models,
    monitor,
    plan,
    results,
    validate,
    workflows,
)

#: In the order of the documentation. A new group is a module here and a name in this list.
ROUTERS = (
    edits.router,
    jobs.router,
    ab_tests.router,
    job_outputs.router,
    workflows.router,
    plan.router,
    files.router,
    results.router,
    validate.router,
    models.router,
    health.router,
    monitor.router,
)
