from msgspec.structs import replace

from manage_api.domains.doctor.prices import check_prices
from shared.config.schema import Upstream
from shared.model import Limits
from shared.store.accounts import update_user
from shared.store.engine import Engine
from tests.manage_api.domains.doctor.conftest import Install
from tests.manage_api.world import Person

LOCAL = Upstream(name="local", base_url="http://127.0.0.1:11434", models=("qwen",))
LISTED = Upstream(name="a", base_url="https://api.deepseek.com", models=("deepseek-v4-pro",))


def test_a_missing_price_is_no_fault_where_nobody_has_a_budget(install: Install) -> None:
    finding = check_prices(install(upstreams=(LOCAL,)))

    assert finding.verdict == "ok"
    assert "qwen at local" in finding.seen


def test_a_missing_price_is_found_where_somebody_has_a_budget(
    install: Install, store: Engine, ada: Person
) -> None:
    update_user(store, ada.user.id, lambda user: replace(user, limits=Limits(quota_cost_micros=1)))

    finding = check_prices(install(upstreams=(LOCAL, LISTED)))

    assert (finding.check, finding.verdict) == ("prices", "warning")
    assert "qwen at local" in finding.seen
    assert "Prices" in finding.remedy
    assert check_prices(install(upstreams=(LISTED,))).verdict == "ok"
