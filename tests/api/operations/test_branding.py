"""Classic customization, its logo, and the styles of managed login, at the door."""

import base64
from typing import Any
from urllib.parse import urlsplit

import pytest
from flask.testing import FlaskClient

from app.env import Env
from app.models import Client, Pool
from app.pools import app_clients, domains
from tests import build, pictures
from tests.api.conftest import Api
from tests.conftest import Clock

CSS = ".logo-customizable { max-width: 60% }"
OTHER = ".label-customizable { font-weight: 700 }"
NOBODY = "00000000-0000-4000-8000-000000000000"


def b64(content: bytes) -> str:
    return base64.b64encode(content).decode()


@pytest.fixture
def served(env: Env, pool: Pool) -> Pool:
    """A pool with a domain."""
    domains.create(env, pool, domain="people", custom=False, settings={})
    return pool


def test_what_holds_for_all_gives_way_to_a_clients_own(api: Api, env: Env, served: Pool, client: Client) -> None:
    of_pool = {"UserPoolId": served.id}
    assert api("GetUICustomization", **of_pool) == {"UICustomization": {}}
    made = api("SetUICustomization", **of_pool, CSS=CSS)["UICustomization"]
    assert (made["ClientId"], made["CSS"], made["UserPoolId"]) == ("ALL", CSS, served.id)
    assert made["CSSVersion"] == "20260301120000" and "ImageUrl" not in made
    assert api("GetUICustomization", **of_pool, ClientId=client.id)["UICustomization"] == made
    own = api("SetUICustomization", **of_pool, ClientId=client.id, CSS=OTHER)["UICustomization"]
    assert own["ClientId"] == client.id
    assert api("GetUICustomization", **of_pool, ClientId=client.id)["UICustomization"] == own
    assert api("GetUICustomization", **of_pool, ClientId="ALL")["UICustomization"] == made
    another = build.a_client(env, served)
    assert api("GetUICustomization", **of_pool, ClientId=another.id)["UICustomization"] == made


def test_what_is_not_given_is_gone_and_neither_takes_it_back(api: Api, served: Pool, clock: Clock) -> None:
    of_pool = {"UserPoolId": served.id}
    first = api("SetUICustomization", **of_pool, CSS=CSS, ImageFile=b64(pictures.png()))["UICustomization"]
    clock.forward(minutes=1)
    then = api("SetUICustomization", **of_pool, ImageFile=b64(pictures.png()))["UICustomization"]
    assert "CSS" not in then and then["ImageUrl"] == first["ImageUrl"]
    assert then["CreationDate"] == first["CreationDate"] and then["LastModifiedDate"] > first["LastModifiedDate"]
    assert api("SetUICustomization", **of_pool) == {"UICustomization": {}}
    assert api("GetUICustomization", **of_pool) == {"UICustomization": {}}


def test_it_needs_a_domain_and_a_client_of_the_pool(api: Api, env: Env, pool: Pool, client: Client) -> None:
    said = api.refused("SetUICustomization", UserPoolId=pool.id, CSS=CSS)
    assert said == ("InvalidParameter", "There has to be an existing domain associated with this user pool")
    foreign = build.a_client(env, build.a_pool(env, algorithm="ES256"))
    for operation in ("SetUICustomization", "GetUICustomization"):
        for wrong in ("nobody", foreign.id):
            said = api.refused(operation, UserPoolId=pool.id, ClientId=wrong)
            assert said == ("ResourceNotFound", f"User pool client {wrong} does not exist.")


@pytest.mark.parametrize(
    "given",
    [
        {"CSS": "@import 'x';"},
        {"ImageFile": b64(pictures.svg())},
        {"ImageFile": b64(pictures.png() + b"x")},
        {"ImageFile": b64(pictures.png(20_000, 20_000))},
        {"ImageFile": b64(pictures.jpeg() + bytes(100 * 1024))},
        {"ImageFile": b64(pictures.jpeg() + bytes(99 * 1024)), "CSS": f"/*{'x' * 5000}*/"},
    ],
)
def test_nothing_is_stored_that_could_not_be_shown(api: Api, served: Pool, given: dict[str, str]) -> None:
    assert api.refused("SetUICustomization", UserPoolId=served.id, **given)[0] == "InvalidParameter"
    assert api("GetUICustomization", UserPoolId=served.id) == {"UICustomization": {}}


@pytest.mark.parametrize(("content", "kind"), [(pictures.png(), "image/png"), (pictures.jpeg(), "image/jpeg")])
def test_the_logo_is_served_at_its_url(
    api: Api, env: Env, http: FlaskClient, served: Pool, content: bytes, kind: str
) -> None:
    url = api("SetUICustomization", UserPoolId=served.id, ImageFile=b64(content))["UICustomization"]["ImageUrl"]
    assert url.startswith(f"{env.settings.base_url}/{served.id}/")
    path = urlsplit(url).path
    answer = http.get(path)
    assert (answer.status_code, answer.data, answer.content_type) == (200, content, kind)
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert "immutable" in answer.headers["Cache-Control"]
    assert "default-src 'none'; sandbox" in answer.headers["Content-Security-Policy"]
    assert "Set-Cookie" not in answer.headers
    folder, _, name = path.rpartition("/")
    other = build.a_pool(env, algorithm="ES256")
    for wrong in (
        f"{folder}/x{name}",
        path.replace("/ALL/", "/nobody/"),
        path.replace("/ALL/", "/%00/"),
        path.replace(served.id, other.id),
    ):
        missing = http.get(wrong)
        assert missing.status_code == 404, wrong
        assert "immutable" not in missing.headers.get("Cache-Control", "")
    api("SetUICustomization", UserPoolId=served.id)
    assert http.get(path).status_code == 404


def test_a_customization_goes_with_its_client(api: Api, env: Env, served: Pool, client: Client) -> None:
    api("SetUICustomization", UserPoolId=served.id, ClientId=client.id, CSS=CSS)
    app_clients.delete(env, client)
    api("SetUICustomization", UserPoolId=served.id, CSS=OTHER)
    assert api("GetUICustomization", UserPoolId=served.id)["UICustomization"]["CSS"] == OTHER


# -- managed login ----------------------------------------------------------------------------------------------

LOGO = {"Category": "FORM_LOGO", "ColorMode": "LIGHT", "Extension": "PNG", "Bytes": b64(pictures.png())}
SETTINGS: dict[str, Any] = {"a": {"b": [1, 2.5, None, {"c": "é"}], "d": True}, "PascalCase": None}


def create(api: Api, client: Client, **given: Any) -> dict[str, Any]:
    reply = api("CreateManagedLoginBranding", UserPoolId=client.pool_id, ClientId=client.id, **given)
    made: dict[str, Any] = reply["ManagedLoginBranding"]
    return made


def test_a_style_comes_back_as_it_was_given(api: Api, pool: Pool, client: Client) -> None:
    made = create(api, client, Settings=SETTINGS, Assets=[LOGO])
    assert made["Settings"] == SETTINGS and made["Assets"] == [LOGO] and made["UseCognitoProvidedValues"] is False
    by_id = {"UserPoolId": pool.id, "ManagedLoginBrandingId": made["ManagedLoginBrandingId"]}
    by_client = {"UserPoolId": pool.id, "ClientId": client.id}
    assert api("DescribeManagedLoginBranding", **by_id)["ManagedLoginBranding"] == made
    assert api("DescribeManagedLoginBrandingByClient", **by_client)["ManagedLoginBranding"] == made
    merged = api("DescribeManagedLoginBrandingByClient", **by_client, ReturnMergedResources=True)
    assert merged["ManagedLoginBranding"]["Settings"].items() > SETTINGS.items()
    assert api("DeleteManagedLoginBranding", **by_id) == {}
    assert api.refused("DescribeManagedLoginBranding", **by_id)[0] == "ResourceNotFound"
    assert api.refused("DeleteManagedLoginBranding", **by_id)[0] == "ResourceNotFound"
    assert api.refused("DescribeManagedLoginBrandingByClient", **by_client)[0] == "ResourceNotFound"


def test_a_style_without_settings_has_assets_all_the_same(api: Api, pool: Pool, client: Client) -> None:
    made = create(api, client, UseCognitoProvidedValues=True)
    assert made["UseCognitoProvidedValues"] is True and made["Assets"] == [] and "Settings" not in made
    merged = api("DescribeManagedLoginBrandingByClient", UserPoolId=pool.id, ClientId=client.id,
                 ReturnMergedResources=True)  # fmt: skip
    assert merged["ManagedLoginBranding"]["Settings"]["categories"]["global"]


@pytest.mark.parametrize(
    "given",
    [
        {},
        {"UseCognitoProvidedValues": False},
        {"UseCognitoProvidedValues": True, "Settings": {}},
        {"Settings": [1]},
        {"Settings": "x"},
        {"Settings": {"a": "x\0"}},
        {"Settings": {"a": {"x\0": 1}}},
        {"Settings": {"a": "x" * 1024 * 1024}},
        {"Assets": [LOGO, LOGO]},
        {"Assets": [{**LOGO, "Extension": "JPEG"}]},
        {"Assets": [{**LOGO, "Extension": "SVG", "Bytes": b64(pictures.svg("<script/>"))}]},
        {"Assets": [{**LOGO, "Bytes": ""}]},
        {"Assets": [{key: LOGO[key] for key in ("Category", "ColorMode", "Extension")}]},
        {"Assets": [{key: LOGO[key] for key in ("Category", "ColorMode", "Extension")} | {"ResourceId": "nothing"}]},
    ],
)
def test_what_makes_no_style_is_refused_and_leaves_nothing(api: Api, client: Client, given: dict[str, Any]) -> None:
    of_client = {"UserPoolId": client.pool_id, "ClientId": client.id}
    assert api.refused("CreateManagedLoginBranding", **of_client, **given)[0] == "InvalidParameter"
    assert api.refused("DescribeManagedLoginBrandingByClient", **of_client)[0] == "ResourceNotFound"
    made = create(api, client, Settings=SETTINGS, Assets=[LOGO])
    by_id = {"UserPoolId": client.pool_id, "ManagedLoginBrandingId": made["ManagedLoginBrandingId"]}
    assert api.refused("UpdateManagedLoginBranding", **by_id, **given)[0] == "InvalidParameter"
    assert api("DescribeManagedLoginBranding", **by_id)["ManagedLoginBranding"] == made


def test_an_update_merges_and_the_provided_values_clear(api: Api, pool: Pool, client: Client) -> None:
    made = create(api, client, Settings={"a": {"b": 1, "c": [1]}, "d": 1}, Assets=[LOGO])
    by_id = {"UserPoolId": pool.id, "ManagedLoginBrandingId": made["ManagedLoginBrandingId"]}
    svg = {"Category": "FAVICON_SVG", "ColorMode": "DYNAMIC", "Extension": "SVG", "Bytes": b64(pictures.svg())}
    dark = {**LOGO, "Bytes": b64(pictures.png(2, 2))}
    then = api("UpdateManagedLoginBranding", **by_id, Settings={"a": {"c": [2]}})["ManagedLoginBranding"]
    assert then["Settings"] == {"a": {"b": 1, "c": [2]}, "d": 1} and then["Assets"] == [LOGO]
    then = api("UpdateManagedLoginBranding", **by_id, Assets=[svg, dark])["ManagedLoginBranding"]
    assert then["Assets"] == [svg, dark] and then["Settings"]["d"] == 1
    then = api("UpdateManagedLoginBranding", **by_id, UseCognitoProvidedValues=True)["ManagedLoginBranding"]
    assert then["UseCognitoProvidedValues"] is True and then["Assets"] == [] and "Settings" not in then
    for member in by_id:
        rest = {name: value for name, value in by_id.items() if name != member}
        assert "must not be null" in api.refused("UpdateManagedLoginBranding", **rest, Settings={})[1]


def test_the_provided_values_may_come_with_pictures(api: Api, pool: Pool, client: Client) -> None:
    made = create(api, client, UseCognitoProvidedValues=True, Assets=[])
    by_id = {"UserPoolId": pool.id, "ManagedLoginBrandingId": made["ManagedLoginBrandingId"]}
    dark = {**LOGO, "ColorMode": "DARK"}
    for assets in ([LOGO], [dark], []):
        then = api("UpdateManagedLoginBranding", **by_id, UseCognitoProvidedValues=True, Assets=assets)
        found = then["ManagedLoginBranding"]
        assert (found["UseCognitoProvidedValues"], found["Assets"]) == (True, assets) and "Settings" not in found
        assert api("DescribeManagedLoginBranding", **by_id)["ManagedLoginBranding"] == found


def test_a_picture_can_be_named_and_used_again_in_its_pool_alone(api: Api, env: Env, client: Client) -> None:
    again = {key: LOGO[key] for key in ("ColorMode", "Extension")} | {
        "ResourceId": "logo 1",
        "Category": "PAGE_HEADER_LOGO",
    }
    create(api, client, Assets=[{**LOGO, "ResourceId": "logo 1"}])
    made = create(api, build.a_client(env, client.pool), Assets=[again])
    assert made["Assets"] == [{**again, "Bytes": LOGO["Bytes"]}]
    foreign = build.a_client(env, build.a_pool(env, algorithm="ES256"))
    said = api.refused("CreateManagedLoginBranding", UserPoolId=foreign.pool_id, ClientId=foreign.id, Assets=[again])
    assert said[0] == "InvalidParameter"


def test_a_style_is_not_there_for_another_pool(api: Api, env: Env, client: Client) -> None:
    made = create(api, client, UseCognitoProvidedValues=True)
    other = build.a_pool(env, algorithm="ES256")
    by_id = {"UserPoolId": other.id, "ManagedLoginBrandingId": made["ManagedLoginBrandingId"]}
    assert api.refused("DescribeManagedLoginBranding", **by_id)[0] == "ResourceNotFound"
    assert api.refused("UpdateManagedLoginBranding", **by_id, Settings={})[0] == "ResourceNotFound"
    assert api.refused("DeleteManagedLoginBranding", **by_id)[0] == "ResourceNotFound"
    by_client = {"UserPoolId": other.id, "ClientId": client.id}
    assert api.refused("DescribeManagedLoginBrandingByClient", **by_client)[0] == "ResourceNotFound"
    assert api.refused("CreateManagedLoginBranding", **by_client, Settings={})[0] == "ResourceNotFound"
    nobody = {**by_id, "ManagedLoginBrandingId": NOBODY}
    assert api.refused("DescribeManagedLoginBranding", **nobody)[0] == "ResourceNotFound"
    assert create_again(api, client)[0] == "ManagedLoginBrandingExists"


def create_again(api: Api, client: Client) -> tuple[str, str]:
    return api.refused("CreateManagedLoginBranding", UserPoolId=client.pool_id, ClientId=client.id, Settings={})


def test_the_largest_picture_passes_the_door(api: Api, client: Client) -> None:
    largest = pictures.jpeg() + bytes(1_000_000 - len(pictures.jpeg()))
    asset = {**LOGO, "Extension": "JPEG", "Bytes": b64(largest)}
    assert create(api, client, Assets=[asset])["Assets"] == [asset]


def test_a_pool_is_deleted_with_all_of_it(api: Api, pool: Pool, client: Client) -> None:
    create(api, client, Settings={}, Assets=[LOGO])
    api("DeleteUserPool", UserPoolId=pool.id)
