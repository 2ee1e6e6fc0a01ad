"""Where files and results live, and which are found again."""

from pathlib import Path

from pydantic import Field, PositiveFloat

from serve_app.config.section import Section
from serve_app.errors import ConfigurationError


class CacheConfig(Section):
    """The result cache and single flight."""

    memory_bytes: int = Field(256 * 2**20, ge=0, description="Memory tier of the cache, bytes.")
    near_bytes: int = Field(64 * 2**20, ge=0, description="Copies kept in each ingress, bytes.")
    near_s: PositiveFloat = Field(
        60.0, description="How long such a copy lives, and an erased result with it, seconds."
    )
    disk_bytes: int = Field(4 * 2**30, ge=0, description="Disk tier, bytes.")
    lease_s: PositiveFloat = Field(
        15.0, description="A leader that is silent for so long hands over, seconds."
    )
    quarantine_s: PositiveFloat = Field(
        3600.0,
        description="An edit over which two replicas died is refused for so long, seconds.",
    )


class StorageConfig(Section):
    """Where files, results and the disk tier of the cache live."""

    root: str = Field(
        "~/.cache/qwen-edit-serve",
        description="A folder or any fsspec URL (s3://…). The cache needs a local folder: "
        "`local_root`.",
    )
    local_root: Path | None = Field(None, description="Defaults to `root` if that is local.")
    keep_s: PositiveFloat | None = Field(
        30 * 24 * 3600.0,
        description="Files and results that no job has are erased after so long, seconds; null "
        "keeps them for good.",
    )

    @property
    def folder(self) -> Path:
        """The local folder; raises ``ConfigurationError`` if there is none."""
        if self.local_root is not None:
            return self.local_root.expanduser()
        if self.root.startswith("file://"):
            return Path(self.root.removeprefix("file://"))
        if "://" in self.root:
            raise ConfigurationError(
                "`storage.root` is not on this machine: set `storage.local_root` to a folder.",
                "storage.local_root",
            )
        return Path(self.root).expanduser()
