"""Redis as Celery's broker, without the moment in which a worker that is killed loses a task.

Kombu takes a task off its queue (BRPOP) and then notes that it is being done, from which it would be given to another
worker. Here Redis does both in one step. A worker with nothing to do asks once a second, and is not woken.
"""

from time import monotonic, time
from typing import Any

from kombu.transport import TRANSPORT_ALIASES, redis
from kombu.transport.virtual import Empty

# Seconds between two looks at queues that are empty.
REST = 1

# Answers as BRPOP does. What it notes is what kombu's QoS.append() notes of the same task a moment later.
TAKE = """
local noted_when, noted = KEYS[1], KEYS[2]
for number = 3, #KEYS do
  local task = redis.call('RPOP', KEYS[number])
  if task then
    local readable, message = pcall(cjson.decode, task)
    if readable then
      local tag, delivery = message.properties.delivery_tag, message.properties.delivery_info
      redis.call('ZADD', noted_when, ARGV[1], tag)
      redis.call('HSET', noted, tag,
        '[' .. task .. ',' .. cjson.encode(delivery.exchange) .. ',' .. cjson.encode(delivery.routing_key) .. ']')
    end
    return {KEYS[number], task}
  end
end
return false
"""


# Kombu's, of which celery-types knows a part only.
Plain: Any = redis.Channel


class Channel(redis.Channel):
    """Takes tasks off their queues and notes that they are being done, in one step."""

    _queue_cycle: Any
    _q_for_pri: Any

    _rest_until = 0.0

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        """A channel that takes nothing yet."""
        super().__init__(*args, **kwargs)
        # The queues of which nothing is noted: answers to remote control.
        self._not_noted: set[str] = set()

    def basic_consume(self, queue: str, no_ack: bool, *args: Any, **kwargs: Any) -> Any:
        """Take what a queue has; with `no_ack`, as kombu does."""
        if no_ack:
            self._not_noted.add(queue)
        return super().basic_consume(queue, no_ack, *args, **kwargs)

    def _brpop_start(self, timeout: float | None = None) -> None:
        if self._not_noted.intersection(self.active_queues):
            Plain._brpop_start(self, timeout)
            return
        if monotonic() < self._rest_until:
            return
        queues = self._queue_cycle.consume(len(self.active_queues))
        keys = [self.unacked_index_key, self.unacked_key]
        keys += [self._q_for_pri(queue, priority) for priority in self.priority_steps for queue in queues]
        self._in_poll = self.client.connection
        self._brpop_sent_at = monotonic()
        self.client.connection.send_command(
            "EVAL", TAKE, len(keys), *(f"{self.global_keyprefix}{key}" for key in keys), time()
        )

    def _brpop_read(self, **options: Any) -> Any:
        try:
            return Plain._brpop_read(self, **options)
        except Empty:
            self._rest_until = monotonic() + REST
            raise


class Transport(redis.Transport):
    """Kombu's, with these channels."""

    Channel = Channel


def use() -> None:
    """Let addresses of Redis be spoken to in this way."""
    for scheme in ("redis", "rediss"):
        TRANSPORT_ALIASES[scheme] = f"{__name__}:Transport"
