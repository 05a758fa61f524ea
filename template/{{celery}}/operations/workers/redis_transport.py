"""Use Redis as Celery's broker without losing a task when a worker is killed.

Kombu takes a task off its queue (BRPOP), and then adds it to a list of unacknowledged tasks, from which another worker
can get it. A worker killed between the two loses the task. Here a script in Redis does both in one step. The price: an
idle worker polls Redis ten times a second.
"""

from time import monotonic, time
from typing import Any

from kombu.transport import TRANSPORT_ALIASES, redis, virtual

# Seconds between two polls of empty queues: a little less than LOOK in operations/workers/shutdown.py.
REST = 0.08

# Returns what BRPOP would, and records what kombu's QoS.append() would record a moment later.
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


# Kombu's classes. celery-types describes only a part of them.
PlainChannel: Any = redis.Channel
PlainQoS: Any = redis.QoS


class QoS(redis.QoS):
    """Record unacknowledged tasks, with commands that a full Redis still accepts: those that only read or delete."""

    noted = False

    def append(self, message: Any, delivery_tag: str) -> None:
        """Record a task that was taken, unless the script has already done so."""
        if self.noted:
            virtual.QoS.append(self, message, delivery_tag)
        else:
            PlainQoS.append(self, message, delivery_tag)

    def ack(self, delivery_tag: str) -> None:
        """Remove a finished task from the list as kombu does, but without a transaction, which a full Redis refuses."""
        channel: Any = self.channel
        with channel.conn_or_acquire() as client:
            notes = client.pipeline(transaction=False)
            notes.zrem(channel.unacked_index_key, delivery_tag).hdel(channel.unacked_key, delivery_tag).execute()
        virtual.QoS.ack(self, delivery_tag)


class Channel(redis.Channel):
    """Take tasks off their queues and record them as unacknowledged, in one step."""

    QoS = QoS
    _queue_cycle: Any
    _q_for_pri: Any

    _in_one_step = False
    _rest_until = 0.0

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        """Create a channel that consumes no queue yet."""
        super().__init__(*args, **kwargs)
        # Queues without acknowledgement: replies to remote control.
        self._not_noted: set[str] = set()

    def basic_consume(self, queue: str, no_ack: bool, *args: Any, **kwargs: Any) -> Any:
        """Consume a queue; with `no_ack`, kombu's own way."""
        if no_ack:
            self._not_noted.add(queue)
        return super().basic_consume(queue, no_ack, *args, **kwargs)

    def _brpop_start(self, timeout: float | None = None) -> None:
        # Outside Celery's event loop, the caller blocks until there is a task, and would not poll again.
        cycle: Any = self.connection.cycle
        self._in_one_step = not cycle._in_protected_read and not self._not_noted.intersection(self.active_queues)
        if not self._in_one_step:
            PlainChannel._brpop_start(self, timeout)
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
        qos: Any = self.qos
        qos.noted = self._in_one_step
        try:
            return PlainChannel._brpop_read(self, **options)
        except virtual.Empty:
            if self._in_one_step:
                self._rest_until = monotonic() + REST
            raise
        finally:
            qos.noted = False


class Transport(redis.Transport):
    """Use these channels in kombu's transport."""

    Channel = Channel


def use() -> None:
    """Use this transport for Redis URLs."""
    for scheme in ("redis", "rediss"):
        TRANSPORT_ALIASES[scheme] = f"{__name__}:Transport"
