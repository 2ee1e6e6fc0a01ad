"""The report of a bulk run: one page of HTML that needs nothing beside itself."""

from serve_app.bulk.report.facts import ReportFacts
from serve_app.bulk.report.page import REPORT, write_report

__all__ = ["REPORT", "ReportFacts", "write_report"]
