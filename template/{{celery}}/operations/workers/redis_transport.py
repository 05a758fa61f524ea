"""Redis as Celery's broker, without the moment in which a worker that is killed loses a task.

Kombu takes a task off its queue (BRPOP) and then notes that it is being done, from which it would be given to another
worker. Here Redis does both in one step. A worker with nothing to do asks ten times a second, and is not woken.
"""

from time import monotonic, time
from typing import Any

from kombu.transport import TRANSPORT_ALIASES, redis, virtual

# Seconds between two looks at empty queues: a little less than operations/workers/shutdown.py lets kombu's loop wait.
REST = 0.08

# Answers as BRPOP does, and notes what kombu's QoS.append() would note of the same task a moment later.
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
PlainChannel: Any = redis.Channel
PlainQoS: Any = redis.QoS


class QoS(redis.QoS):
    """Notes what is being done, and asks of a Redis that is full no more than it gives: reading, and deleting."""

    noted = False

    def append(self, message: Any, delivery_tag: str) -> None:
        """Remember a task that was taken."""
        if self.noted:
            virtual.QoS.append(self, message, delivery_tag)
        else:
            PlainQoS.append(self, message, delivery_tag)

    def ack(self, delivery_tag: str) -> None:
        """Forget a task that is done, as kombu does, but in no transaction."""
        channel: Any = self.channel
        with channel.conn_or_acquire() as client:
            notes = client.pipeline(transaction=False)
            notes.zrem(channel.unacked_index_key, delivery_tag).hdel(channel.unacked_key, delivery_tag).execute()
        virtual.QoS.ack(self, delivery_tag)


class Channel(redis.Channel):
    """Takes tasks off their queues and notes that they are being done, in one step."""

    QoS = QoS
    _queue_cycle: Any
    _q_for_pri: Any

    _in_one_step = False
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
        # Who asks without Celery's loop waits for an answer, and does not come round.
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
    """Kombu's, with these channels."""

    Channel = Channel


def use() -> None:
    """Let addresses of Redis be spoken to in this way."""
    for scheme in ("redis", "rediss"):
        TRANSPORT_ALIASES[scheme] = f"{__name__}:Transport"
