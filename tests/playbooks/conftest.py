"""A project of the test's own for every playbook test."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.project import Project


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """The shipped playbooks, roles and plugins, with no systems and no environments yet."""
    return Project(tmp_path / "project")
