"""The names of everything Runrelay keeps in Redis. No key is built anywhere else but in `config/lua`, from the same
namespace. No hash tags: arq's own keys cannot have them, and Redis Cluster is out of scope."""

from dataclasses import dataclass
from typing import Literal

RecordKind = Literal["ev", "dl", "af"]


@dataclass(frozen=True, slots=True)
class Keys:
    """Keys of one installation.

    | key | type | holds |
    |---|---|---|
    | `<ns>:ev:<id>` | hash | one event |
    | `<ns>:dl:<id>` | hash | one delivery |
    | `<ns>:af:<id>` | hash | what is deleted at the platform after a run was delivered |
    | `<ns>:due` | zset | `<kind>:<id>` of every record that is not final, by the ms it is overdue at |
    | `<ns>:lease:<id>` | string | fencing token of whoever works on it, with a time to live |
    | `<ns>:seen:<id>` | string | an event that was accepted, for 72 h |
    | `<ns>:cfg:<sha>` | string | a route's document |
    | `<ns>:events`, `<ns>:deliveries` | zset | ids by time of birth, for lists |
    | `<ns>:dead` | zset | `<kind>:<id>` of what ended dead, by time of death |
    | `<ns>:run:<source>:<run>` | set | `<kind>:<id>` of everything about a run |
    | `<ns>:since:<source>` | string | ms of a source's first start here: what finished before is not caught up |
    | `<ns>:reconciled:<source>` | string | one worker has looked for unannounced runs, with a time to live |
    | `<ns>:queue` | zset | arq's queue of wake-ups |
    | `<ns>:lane:<lane>` | zset | `<kind>:<id>` of whoever holds a place in the lane, by the ms it lapses at |
    | `<ns>:line:<line>` | zset | `<kind>:<id>` of whoever stands in line, by the ms it may go at |
    | `<ns>:lines` | set | lines that somebody stands in |
    | `<ns>:breadth` | string | places of each lane |
    | `<ns>:circuit:<lane>` | hash | transient failures in a row; if it is open, since when, why, and the next probe |
    | `<ns>:open` | set | lanes whose circuit is open |
    | `<ns>:paused` | hash | `<kind>:<name>` of what a person holds → ms until when, 0 for no end |
    | `<ns>:cfgs` | zset | sha of each route's document, by the ms a delivery was last planned with it |
    | `<ns>:tidied` | string | a worker has its turn at forgetting, with a time to live |
    | `<ns>:tidying` | hash | `dl`, `ev` → how far the pass over deliveries and events has come |
    | `<ns>:alerts` | hash | `<target>|<kind>` → what that target of alerts was told of that kind, and what it is sent |
    | `<ns>:alarmed` | string | a worker has its turn at alerts, with a time to live |
    | `<ns>:missed` | hash | source → how many runs were found that no webhook announced |
    | `<ns>:misread` | zset | why a worker cannot use the routes file as it is now, by the ms this counts as mended at |
    | `<ns>:pace:<sink>` | string | ms of the next request to a sink with a `rate`, with a time to live |
    | `<ns>:box:<box>` | hash | messages to somebody: until when the next ones wait, and what of them is under way |
    | `<ns>:box:<box>:in`, `…:out` | zset | ids of messages that wait, and of those sent as one, by ms of arrival |
    | `<ns>:box:<box>:text` | hash | id → text of the first of them |
    | `<ns>:said:<id>` | string | how a message ended: `sent`, `refused` among others, or `unknown`; 8 days |
    | `<ns>:quarantined` | zset | ids of deliveries that wait for a person's word, by ms of birth |
    | `<ns>:usual:<route>|<actor>` | list | how many items the last 20 runs had that were as expected; 400 days |
    | `<ns>:turns:<route>/<target>` | zset | deliveries that go one by one, by the finish of their run; 0: begun |
    | `<ns>:last:<route>/<target>` | hash | what a target that is told of changes was last delivered |
    | `<ns>:next:<id>` | hash | the same as it will be once a delivery is through |
    | `<ns>:fresh` | hash | of routes that must deliver in time, ms: when they did, see `workers.ledger.freshness` |
    | `<ns>:bad:<id>` | hash | `<stream>:<row>` → why an item of a delivery was rejected, and its beginning; 90 days |
    | `<ns>:captured:<source>` | list | the newest webhooks that could not be verified, if the file wants them kept |
    | `<ns>:workers` | zset | workers by the ms they count as gone at |
    """

    namespace: str

    @property
    def due(self) -> str:
        return f"{self.namespace}:due"

    @property
    def events(self) -> str:
        return f"{self.namespace}:events"

    @property
    def deliveries(self) -> str:
        return f"{self.namespace}:deliveries"

    @property
    def dead(self) -> str:
        return f"{self.namespace}:dead"

    @property
    def quarantined(self) -> str:
        return f"{self.namespace}:quarantined"

    @property
    def queue(self) -> str:
        return f"{self.namespace}:queue"

    @property
    def lines(self) -> str:
        return f"{self.namespace}:lines"

    @property
    def breadth(self) -> str:
        return f"{self.namespace}:breadth"

    @property
    def open(self) -> str:
        return f"{self.namespace}:open"

    @property
    def paused(self) -> str:
        return f"{self.namespace}:paused"

    @property
    def tidied(self) -> str:
        return f"{self.namespace}:tidied"

    @property
    def alerts(self) -> str:
        return f"{self.namespace}:alerts"

    @property
    def alarmed(self) -> str:
        return f"{self.namespace}:alarmed"

    @property
    def missed(self) -> str:
        return f"{self.namespace}:missed"

    @property
    def misread(self) -> str:
        return f"{self.namespace}:misread"

    @property
    def documents(self) -> str:
        return f"{self.namespace}:cfgs"

    @property
    def fresh(self) -> str:
        return f"{self.namespace}:fresh"

    @property
    def workers(self) -> str:
        return f"{self.namespace}:workers"

    def record(self, kind: RecordKind, record_id: str) -> str:
        return f"{self.namespace}:{kind}:{record_id}"

    def line(self, name: str) -> str:
        return f"{self.namespace}:line:{name}"

    def lane(self, name: str) -> str:
        return f"{self.namespace}:lane:{name}"

    def circuit(self, lane: str) -> str:
        return f"{self.namespace}:circuit:{lane}"

    def lease(self, record_id: str) -> str:
        return f"{self.namespace}:lease:{record_id}"

    def seen(self, event_id: str) -> str:
        return f"{self.namespace}:seen:{event_id}"

    def document(self, sha: str) -> str:
        return f"{self.namespace}:cfg:{sha}"

    def run(self, source: str, run_id: str) -> str:
        return f"{self.namespace}:run:{source}:{run_id}"

    def rejects(self, delivery_id: str) -> str:
        return f"{self.namespace}:bad:{delivery_id}"

    def usual(self, route: str, actor_id: str) -> str:
        return f"{self.namespace}:usual:{route}|{actor_id}"

    def turns(self, route: str, target: str) -> str:
        return f"{self.namespace}:turns:{route}/{target}"

    def last(self, route: str, target: str) -> str:
        return f"{self.namespace}:last:{route}/{target}"

    def next(self, delivery_id: str) -> str:
        return f"{self.namespace}:next:{delivery_id}"

    def since(self, source: str) -> str:
        return f"{self.namespace}:since:{source}"

    def captured(self, source: str) -> str:
        return f"{self.namespace}:captured:{source}"

    def reconciled(self, source: str) -> str:
        return f"{self.namespace}:reconciled:{source}"
