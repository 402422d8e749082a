"""Events published to an MQTT broker of the user's."""

from __future__ import annotations

import secrets
import ssl
import threading
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import unquote, urlsplit

from facecctv.cli.sending import LOOPBACK, ROOM, Message, Sender
from facecctv.errors import MissingExtra, OutputError, SettingError
from facecctv.footage.camera import shown_address

if TYPE_CHECKING:
    from paho.mqtt.client import Client
    from paho.mqtt.reasoncodes import ReasonCode

_PORTS = {"mqtt": 1883, "mqtts": 8883}
_FORM = "--mqtt is mqtts://user@broker/topic"
_LONGEST = 1024
"""Bytes of the topic, letters of a camera's name; the protocol has 65535 bytes for both."""
_KEEPALIVE = 30
"""Seconds without a word after which a connection is tried, and as much again until it is lost."""
_GOODBYE = 1.0
"""Seconds to say so, at the end."""


@dataclass(frozen=True)
class MqttOptions:
    """How long is waited."""

    timeout: float = 5.0
    """Seconds to connect, and to be let in."""
    room: int = ROOM


@dataclass(frozen=True)
class _Place:
    """What an address says."""

    name: str
    host: str
    port: int
    readable: bool
    """Sent without TLS."""
    user: str | None
    topic: str

    @classmethod
    def of(cls, address: str) -> Self:
        """Raises SettingError, which quotes nothing that may be a secret."""
        try:
            parts = urlsplit(address)
            host, port = parts.hostname, parts.port
        except ValueError as error:
            raise SettingError(f"{_FORM}: {error}") from error
        if parts.scheme not in _PORTS or not host or port == 0:
            raise SettingError(_FORM)
        if parts.password is not None:
            raise SettingError("--mqtt: no password in the address: set FACECCTV_MQTT_PASSWORD")
        name = shown_address(address)
        if parts.scheme == "mqtt" and host not in LOOPBACK:
            raise SettingError(f"--mqtt: {name} would be sent readable: use mqtts://")
        topic = unquote(parts.path).strip("/")
        if (
            parts.query
            or parts.fragment
            or _level(topic.replace("/", "")) != topic.replace("/", "")
        ):
            raise SettingError(f"--mqtt: {name}: a topic to publish to has none of + # ?")
        if not topic or topic.startswith("$") or len(topic.encode()) > _LONGEST:
            raise SettingError(
                f"--mqtt: a topic of at most {_LONGEST} bytes, not of the broker's own ($): {_FORM}"
            )
        user = None if parts.username is None else unquote(parts.username)
        return cls(name, host, port or _PORTS[parts.scheme], parts.scheme == "mqtt", user, topic)


class Mqtt(Sender):
    """Publishes JSON by MQTT 3.1.1 to TOPIC/CAMERA/KIND, acknowledged (QoS 1), not retained.

    TOPIC/status is `online` while it is connected and `offline` otherwise, retained. The address is
    mqtts://, or mqtt:// on this machine (SettingError otherwise); certificates are checked. Raises
    MissingExtra without paho-mqtt, and OutputError where the broker does not let it in now. A
    broker that is lost later is connected to again after 1, 2, 4 … 30 seconds, while events wait.
    """

    def __init__(
        self,
        address: str,
        password: str = "",
        options: MqttOptions | None = None,
        context: ssl.SSLContext | None = None,
    ) -> None:
        self._place, self._options = _Place.of(address), options or MqttOptions()
        super().__init__(self._place.name, self._options.room)
        if password and self._place.user is None:
            raise SettingError(f"FACECCTV_MQTT_PASSWORD is set, but {self.name} names no user")
        self.interrupted = 0
        """How often the broker was lost."""
        self._status = f"{self._place.topic}/status"
        self._arrived = deque[int](maxlen=16)
        self._changed = threading.Condition()
        self._answered, self._gone = threading.Event(), threading.Event()
        self._connected = False
        self._client = self._made(password, context)
        self._connect()
        self._thread.start()

    def close(self, wait: float = 5.0) -> None:
        """Takes no more; what waits has so many seconds, and what is left then is lost."""
        if self._gone.is_set():
            return
        super().close(wait)
        self._thread.join(_GOODBYE)
        if self._connected:
            self._wait_for(self._publish(self._status, "offline", retain=True), _GOODBYE)
        self._disconnect()

    def account(self) -> list[str]:
        """What went wrong, in sentences; of a closed sender."""
        lost = self.interrupted
        more = [f"{self.name} was lost {lost} time{'s' * (lost > 1)}"] if lost else []
        return super().account() + more

    def _deliver(self, message: Message) -> bool:
        """While the broker is away the client keeps it, and sends it again once it is back."""
        topic = f"{self._place.topic}/{_level(message.camera)[:_LONGEST]}/{message.kind}"
        number = self._publish(topic, message.text)
        while not self._stopped.is_set():
            if self._wait_for(number, 0.2):
                return True
        return False

    def _publish(self, topic: str, text: str, retain: bool = False) -> int:
        with self._changed:
            self._arrived.clear()  # numbers come again
        return self._client.publish(topic, text.encode(), qos=1, retain=retain).mid

    def _wait_for(self, number: int, seconds: float) -> bool:
        with self._changed:
            return self._changed.wait_for(lambda: number in self._arrived, seconds)

    def _made(self, password: str, context: ssl.SSLContext | None) -> Client:
        try:
            from paho.mqtt.client import Client
            from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
        except ImportError as error:
            raise MissingExtra("--mqtt needs more: pip install 'facecctv[mqtt]'") from error
        name = f"facecctv-{secrets.token_hex(6)}"
        version = CallbackAPIVersion.VERSION2
        client = Client(version, client_id=name, protocol=MQTTProtocolVersion.MQTTv311)
        client.connect_timeout = self._options.timeout
        client.reconnect_delay_set(1, 30)
        client.will_set(self._status, "offline", qos=1, retain=True)
        if self._place.user is not None:
            client.username_pw_set(self._place.user, password or None)
        if not self._place.readable:
            checking = context or ssl.create_default_context()
            checking.sslsocket_class = _Closed
            client.tls_set_context(checking)
        client.on_connect, client.on_disconnect = self._on_connect, self._on_disconnect
        client.on_publish = self._on_publish
        return client

    def _connect(self) -> None:
        """The first time, so that what cannot work is said at once."""
        try:
            self._client.connect(self._place.host, self._place.port, _KEEPALIVE)
        except (OSError, ValueError) as error:  # ValueError: a host that no name server takes
            reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
            raise OutputError(f"{self.name}: cannot be reached: {reason}") from error
        self._client.loop_start()
        if not self._answered.wait(self._options.timeout):
            self.trouble = "does not answer"
        if not self._connected:
            self._disconnect()
            raise OutputError(f"{self.name}: {self.trouble}")

    def _disconnect(self) -> None:
        self._gone.set()
        self._client.disconnect()
        # Waits for the client's thread, which may hang at a broker that does not answer.
        stop = threading.Thread(target=self._client.loop_stop, daemon=True)
        stop.start()
        stop.join(_GOODBYE)

    def _on_connect(
        self, client: Client, data: Any, flags: Any, reason: ReasonCode, properties: Any
    ) -> None:
        if reason.is_failure:
            self.trouble = f"the broker refuses: {reason}"
        elif self._gone.is_set():
            client.disconnect()
        else:
            self._connected = True
            # Not acknowledged, so that it cannot pile up where a broker comes and goes.
            client.publish(self._status, "online", qos=0, retain=True)
        self._answered.set()

    def _on_disconnect(
        self, client: Client, data: Any, flags: Any, reason: ReasonCode, properties: Any
    ) -> None:
        if self._gone.is_set():
            pass  # as asked
        elif self._connected:
            self.interrupted += 1
            self.trouble = "the connection was lost"
        elif not self._answered.is_set():
            self.trouble = "the connection was closed without an answer"
        self._connected = False
        self._answered.set()

    def _on_publish(
        self, client: Client, data: Any, number: int, reason: ReasonCode, properties: Any
    ) -> None:
        with self._changed:
            self._arrived.append(number)
            self._changed.notify_all()


class _Closed(ssl.SSLSocket):
    """Closed where the other side is not trusted; the client would leave it open."""

    def do_handshake(self, block: bool = False) -> None:
        try:
            super().do_handshake(block)
        except OSError:
            self.close()
            raise


def _level(name: str) -> str:
    """A name as one level of a topic, with _ for what brokers do not take there."""
    return "".join("_" if _is_odd(one) else one for one in name)


def _is_odd(letter: str) -> bool:
    code = ord(letter)
    control = code < 0x20 or 0x7F <= code < 0xA0
    never = 0xD800 <= code < 0xE000 or 0xFDD0 <= code < 0xFDF0 or code & 0xFFFE == 0xFFFE
    return letter in "+#/" or control or never
