"""The routes, one module per group; each makes its router from the ``Context``."""

from serve_app.api.routes import edits, files, health, jobs, models, results, validate

#: In the order of the documentation. A new group is a module here and a name in this list.
ROUTERS = (
    edits.router,
    jobs.router,
    files.router,
    results.router,
    validate.router,
    models.router,
    health.router,
)
