"""With the services, the hub tells whose token it is and what it is good for."""

from ctadata_providers import Config, CredentialError, CtaClient
from ctadata_providers.client.checkup import Step
from ctadata_providers.testing import FakeCta


def steps(cta: FakeCta, **settings: object) -> dict[str, Step]:
    with CtaClient(Config.from_mapping({**cta.service_settings(), "retries": 0, **settings})) as client:
        return {step.name: step for step in client.check()}


def states(found: dict[str, Step]) -> dict[str, str]:
    return {name: step.state for name, step in found.items()}


def test_name_and_scopes_come_from_the_hub(fake_cta_services: FakeCta) -> None:
    fake_cta_services.put("/lst/a", b"a")
    found = steps(fake_cta_services)

    assert set(states(found).values()) == {"good"}
    assert found["credential"].told == "the hub token of alice, which does not tell when it ends"
    assert "access:services!service=downloadservice" in found["scopes"].told


def test_a_token_that_the_hub_does_not_know_is_told(fake_cta_services: FakeCta) -> None:
    token = "0123456789abcdef0123456789abcdef"
    found = steps(fake_cta_services, hub_token=token)

    assert states(found) == {
        "tls": "good",
        "credential": "bad",
        "scopes": "skipped",
        "listing": "bad",
        "latency": "skipped",
    }
    assert isinstance(found["credential"].error, CredentialError)
    assert "hub/token" in found["credential"].told
    assert token not in str(found)


def test_a_token_without_the_scope_is_told_the_scope(fake_cta_services: FakeCta) -> None:
    found = steps(fake_cta_services, hub_token=fake_cta_services.make_hub_token(scope=False))

    assert (found["credential"].state, found["scopes"].state, found["listing"].state) == ("good", "bad", "bad")
    assert "lacks the scope access:services!service=downloadservice" in found["scopes"].told


def test_without_a_token_nothing_is_asked_of_the_hub(fake_cta_services: FakeCta) -> None:
    found = steps(fake_cta_services, hub_token=None)

    assert found["credential"].state == "bad"
    assert "JUPYTERHUB_API_TOKEN" in found["credential"].told
    assert [one for one in fake_cta_services.requests if one.server == "hub"] == []
