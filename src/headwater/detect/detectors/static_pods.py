# SPDX-License-Identifier: Apache-2.0
"""Pods that a kubelet starts from files of its host, beyond those of the control plane or with rights over the host.

Needs:      kubernetes.manifest.
Technique:  T1543.005 container service; T1611 escape to host; T1610 deploy container; T1036.005 a name that is another's.
Says:       which file makes the kubelet start which image with which rights; no API server is asked for such a pod, and none can
            delete it. Commands that are suspicious by their words are told by ``persistence``. It does not say that the pod ran.
False when: an administrator or an installer other than kubeadm, k3s, RKE2 and kubespray runs a load balancer or an agent so.
"""

from __future__ import annotations

from collections.abc import Iterator

from headwater.detect.commands import excerpt
from headwater.detect.frames import state, take
from headwater.formats.patterns import lazy_regex
from headwater.model.kinds import Confidence, EventKind, Severity, Stage
from headwater.model.nouns import Finding, Rule, Text
from headwater.model.paths import file_layer
from headwater.model.ports import Events, Settings

RULE = Rule(
    id="static-pod",
    version="1",
    author="Headwater",
    title=Text("kubelet 静态 Pod", "A static pod of a kubelet"),
    stage=Stage.PERSIST,
    techniques=("T1543.005", "T1611", "T1610", "T1036.005"),
    severity=Severity.HIGH,
)
CLAIMS = ("kind", "mechanism", "object", "pod", "namespace", "images", "command_line", "risks", "mounts")
_OWN = ("mechanism", "object", "pod", "namespace", "containers", "images", "risks", "mounts")
_STATIC = lazy_regex(r"/(?:etc/kubernetes/manifests|etc/kubelet\.d|pod-manifests)/")
# What control planes and their load balancers consist of, by the last part of an image's name.
_PLANE = frozenset({
    "kube-apiserver", "kube-controller-manager", "kube-scheduler", "etcd", "kube-proxy", "cloud-controller-manager", "kube-vip",
    "haproxy", "keepalived", "nginx", "hyperkube", "hardened-kubernetes", "hardened-etcd", "rke2-cloud-provider", "rke2-runtime",
    "kube-apiserver-amd64", "kube-controller-manager-amd64", "kube-scheduler-amd64", "etcd-amd64", "etcd-arm64", "coredns",
})  # fmt: skip
# Names that stand for one component alone: a pod that bears one runs that one's image.
_NAMED = ("kube-apiserver", "kube-controller-manager", "kube-scheduler", "etcd")
# Mounts that are the host itself: its root, its accounts, start-up places and engine's sockets.
_HOST = lazy_regex(
    r"/|/(?:etc|root|home|boot|dev|proc|usr|bin|sbin|lib|var|var/lib|var/run|run)/?|/root/.*|/home/.*|/var/spool/cron.*|/etc/(?:cron|ssh|sudoers|systemd)\S*"
    r"|/(?:var/)?run/(?:docker|containerd/containerd|crio/crio|k3s/containerd/containerd)\.sock"
)
_WORDS = {
    "host": ("可改写主机本身", "can write the host itself", "T1611", Severity.HIGH),
    "false-name": ("冒用控制面组件之名而镜像另有其物", "bears a control plane's name and runs another image", "T1036.005", Severity.HIGH),
    "privileged": ("以特权方式运行，且不属于控制面", "is privileged and no part of a control plane", "T1611", Severity.MEDIUM),
    "applied": ("随集群自动部署，可改写主机本身", "is applied with the cluster and can write the host itself", "T1611", Severity.MEDIUM),
    "other": ("不属于常见的控制面组件", "is no usual part of a control plane", "T1543.005", Severity.LOW),
}  # fmt: skip


def detect(events: Events, settings: Settings) -> Iterator[Finding]:
    """By source, path and place; one finding for each pod."""
    rows = take(
        events, kinds=[EventKind.STATE_SERVICE], feeds=["kubernetes.manifest"], header=["host", "file_path", "command_line"], own=_OWN
    )  # fmt: skip
    for row in rows.sort("source", "path", "offset").iter_slices(1):
        said = {k: str(v) for k, v in row.to_dicts()[0].items() if v is not None}
        reason = _reason(said)
        if reason is None:
            continue
        zh_why, en_why, technique, severity = _WORDS[reason]
        path, pod, images = file_layer(said["path"]), said.get("pod", "?"), excerpt(said.get("images", "?"), 120)
        risks = excerpt(said.get("risks", "").replace("\n", ", "), 200)
        zh = f"{path} 令 kubelet 自行启动 Pod {pod}（镜像 {images}），它{zh_why}" + (f"：{risks}" if risks else "")
        en = f"{path} makes the kubelet start the pod {pod} (image {images}), which {en_why}" + (f": {risks}" if risks else "")  # fmt: skip
        rule = Rule(
            RULE.id, RULE.version, RULE.author, RULE.title, RULE.stage,
            (technique, *(t for t in RULE.techniques if t != technique)), severity,
        )  # fmt: skip
        yield state(
            events, rule, row, CLAIMS, Text(zh + "。", en + "."), severity=severity,
            confidence=Confidence.LOW if severity is Severity.LOW else Confidence.MEDIUM,
            facts={"reason": reason, "path": path, "pod": said.get("pod"), "images": said.get("images")},
        )  # fmt: skip


def _image(name: str) -> str:
    """The last part of an image's name, without tag and digest."""
    return name.partition("@")[0].rsplit("/", 1)[-1].partition(":")[0]


def _reason(said: dict[str, str]) -> str | None:
    """Why an object is told, or None; of what k3s applies by itself only what reaches the host's root."""
    if "images" not in said:
        return None
    images = {_image(name) for name in said["images"].split()}
    risks = said.get("risks", "").split("\n")
    reaches = any(r.startswith("mount=") and _HOST.fullmatch(r[6:]) for r in risks)
    rights = "privileged" in risks or "pid=host" in risks or any(r.startswith("cap=") for r in risks)
    usual = images <= _PLANE
    names = [n for n in _NAMED if n in said.get("containers", "").split()]
    if any(not any(n in i or i.startswith(("hardened-", "hyperkube")) for i in images) for n in names):
        return "false-name"
    if not _STATIC.search(said["path"]):
        return "applied" if "mount=/" in risks and rights else None
    if "mount=/" in risks or (reaches and not usual) or (reaches and rights and "nginx" in images):
        return "host"
    if rights and not usual:
        return "privileged"
    return None if usual else "other"
