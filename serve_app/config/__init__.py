"""Every setting of the service, with its unit; nothing else reads configuration.

The models are frozen and refuse unknown keys, so a typing error in a YAML file stops the
start with the name of the field instead of being ignored.
"""

from serve_app.config.brand import LONGEST_TARGET_SIDE, PLATFORM, BrandConfig, Target
from serve_app.config.bulk import Actors, BulkConfig
from serve_app.config.deployments import DeploymentsConfig, EditorReplicas, Replicas
from serve_app.config.engine import AccelerationConfig, EngineConfig, SchedulingConfig
from serve_app.config.jobs import JobsConfig, WebhooksConfig, WorkflowsConfig
from serve_app.config.limits import LimitsConfig
from serve_app.config.model import AdaptersConfig, FewStepConfig, MemoryConfig, ModelConfig
from serve_app.config.monitor import MonitorConfig
from serve_app.config.planning import EditTypes, PlanningConfig, TypeParameters
from serve_app.config.quality import CheckLimits, EditTypeName, JudgeConfig, QualityConfig
from serve_app.config.section import CanvasSize, Fraction, Section
from serve_app.config.service import ServiceConfig
from serve_app.config.storage import CacheConfig, StorageConfig

__all__ = [
    "LONGEST_TARGET_SIDE",
    "PLATFORM",
    "AccelerationConfig",
    "Actors",
    "AdaptersConfig",
    "BrandConfig",
    "BulkConfig",
    "CacheConfig",
    "CanvasSize",
    "CheckLimits",
    "DeploymentsConfig",
    "EditTypeName",
    "EditTypes",
    "EditorReplicas",
    "EngineConfig",
    "FewStepConfig",
    "Fraction",
    "JobsConfig",
    "JudgeConfig",
    "LimitsConfig",
    "MemoryConfig",
    "ModelConfig",
    "MonitorConfig",
    "PlanningConfig",
    "QualityConfig",
    "Replicas",
    "SchedulingConfig",
    "Section",
    "ServiceConfig",
    "StorageConfig",
    "Target",
    "TypeParameters",
    "WebhooksConfig",
    "WorkflowsConfig",
]
