"""Every public name of the official packages is one of ours."""

from __future__ import annotations

import enum
import subprocess
import sys

import pytest

import reflexio_async
from reflexio_async import legacy
from reflexio_async.reflect import models as reflect_models
from reflexio_async.reflexio import models as reflexio_models
from tests.parity.official_data import OFFICIAL

NAMES = {distribution: package.names for distribution, package in OFFICIAL.items()}

# What stands for an official name that is no name of ours.
STANDS_FOR = {
    "ReflexioClient": reflexio_async.AsyncReflexioClient,
    "Interaction": reflexio_async.InteractionView,
    "PlaybookConfig": reflexio_async.UserPlaybookExtractorConfig,
    "SearchInteractionResponse": reflexio_async.SearchInteractionsViewResponse,
    "SearchUserProfileResponse": reflexio_async.SearchProfilesViewResponse,
    "ReflectClient": reflexio_async.AsyncReflectClient,
    "ApiKeyCreateResponse": reflexio_async.CreatedApiKey,
    "ApiKeyResponse": reflexio_async.ApiKeyInfo,
    "BootstrapInfo": reflexio_async.BootstrapResponse,
    "MemoryResponse": reflexio_async.Memory,
    "ReviewResponse": reflexio_async.Review,
    "SkillResponse": reflexio_async.Skill,
    "TraceCreateResponse": reflexio_async.TraceSubmission,
    "TraceResponse": reflexio_async.Trace,
    "from_deepagents": reflexio_async.from_langchain,
}


def test_the_lists_of_the_official_packages_are_whole() -> None:
    counted = {distribution: len(names) for distribution, names in NAMES.items()}
    assert counted == {"reflexio-client": 74, "reflexio-ai": 77, "reflect-sdk": 15, "reflect-sdk-0.3.3": 14}


@pytest.mark.parametrize("package", NAMES)
def test_every_official_name_imports_from_the_package(package: str) -> None:
    assert [name for name in NAMES[package] if not hasattr(reflexio_async, name)] == []


def test_dir_lists_the_official_names_that_differ() -> None:
    assert set(STANDS_FOR) <= set(dir(reflexio_async))


@pytest.mark.parametrize("name", STANDS_FOR)
def test_an_official_name_that_differs_is_the_class_of_the_same_meaning(name: str) -> None:
    assert getattr(reflexio_async, name) is STANDS_FOR[name]


def test_the_names_that_differ_are_these() -> None:
    everything = {name for names in NAMES.values() for name in names}
    ours = {*reflexio_async.__all__, *reflexio_models.__all__, *reflect_models.__all__}
    assert everything - ours == set(STANDS_FOR)


def test_a_name_that_january_has_too_is_today_s() -> None:
    shared = [name for name in legacy.__all__ if name in NAMES["reflexio-ai"]]
    assert "InteractionData" in shared
    ours = [getattr(reflexio_async, name) for name in shared]
    assert [kind for kind in ours if kind.__module__.startswith("reflexio_async.legacy")] == []


def test_the_current_status_is_none() -> None:
    assert reflexio_async.Status.CURRENT is None
    assert "CURRENT" not in reflexio_async.Status.__members__


def test_the_results_of_testing_a_storage_are_the_server_s_numbers() -> None:
    results = reflexio_async.StorageConfigTest
    assert issubclass(results, enum.IntEnum)
    assert {result.name: result.value for result in results} == {
        "UNKNOWN": 0,
        "INCOMPLETE": 1,
        "FAILED": 2,
        "SUCCEEDED": 3,
    }


@pytest.mark.parametrize(
    ("wrong", "hint"),
    [
        ("AsyncReflexClient", "; the clients are AsyncReflexioClient and AsyncReflectClient"),
        ("Client", "; the clients are AsyncReflexioClient and AsyncReflectClient"),
        ("JobTimeoutError", "; did you mean JobTimeout?"),
        ("UserPlaybookVeiw", "; did you mean UserPlaybookView?"),
        ("MemoryResponses", "; did you mean Memory?"),
        ("xyzzy", "no attribute 'xyzzy'"),
    ],
)
def test_a_wrong_guess_gets_a_hint(wrong: str, hint: str) -> None:
    with pytest.raises(AttributeError) as caught:
        getattr(reflexio_async, wrong)
    assert str(caught.value).endswith(hint)


@pytest.mark.quick  # CI runs these alone on 3.12 and 3.13
@pytest.mark.skipif(sys.version_info < (3, 12), reason="Python suggests names since 3.12")
def test_python_suggests_a_name_for_a_misspelt_import() -> None:
    program = "from reflexio_async import AsyncReflexoClient"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert "Did you mean: 'AsyncReflexioClient'?" in done.stderr


def test_an_official_name_loads_no_service_that_it_does_not_need() -> None:
    program = (
        "import sys, reflexio_async as r; r.ReflexioClient; "
        "print('reflexio_async.reflect.models' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
