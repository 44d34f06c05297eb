"""Runs adapters in a test's own process, without an engine.

    from dspool_worker import testing

    def test_a_cart_counts_what_is_in_it() -> None:
        with testing.Pool(Cart) as pool:
            cart = pool.session("user-42")
            assert cart.call("add", item="tea") == 1
            assert cart.fields == {"items": {"tea": 1}}
            with pytest.raises(testing.CallError) as refused:
                cart.call("add", item="tea", count=0)
            assert refused.value.code == "invalid_count"

What a worker does is done by the worker's own code: arguments and results are encoded and decoded,
changes of the session are found and committed, errors are put into words. What is the engine's is
done in a simple way: there are no retries, no queues with limits, no expiry and no durability.
"""

from dspool_worker.testing.answer import Answer, CallError
from dspool_worker.testing.pool import Pool
from dspool_worker.testing.session import PoolSession

__all__ = ["Answer", "CallError", "Pool", "PoolSession"]
