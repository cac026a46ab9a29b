"""The controllers that this cluster lacks: Deployments and ReplicaSets become pods, Services get their endpoints."""

import itertools
from concurrent.futures import ThreadPoolExecutor

import ztunnel
from machine import until
from pod import Pod


class Node:
    """`images`: what a container's image is here, by the last part of its name without the tag."""

    def __init__(self, cluster, images):
        self._cluster = cluster
        self._images = images
        self._addresses = (f"10.200.{n // 250 + 1}.{n % 250 + 1}" for n in itertools.count())
        self.pods = {}  # by (namespace, Deployment or ReplicaSet): one of each
        self._world = {}  # host: address, of what is no Service

    def sync(self):
        """Make what the Deployments, ReplicaSets and Services ask for; returns when every pod is ready."""
        self.provide_namespaces()
        replica_sets = self._cluster.items("/apis/apps/v1/replicasets")  # nobody here makes any of a Deployment
        wanted = {}
        for workload in self._cluster.items("/apis/apps/v1/deployments") + replica_sets:
            meta = workload["metadata"]
            if workload["spec"]["replicas"]:
                wanted[meta["namespace"], meta["name"]] = workload
        for key in self.pods.keys() - wanted.keys():
            self.pods.pop(key).stop()
        for key in wanted.keys() - self.pods.keys():
            self.pods[key] = self._pod(wanted[key])
        self._publish()
        self._resolve()
        with ThreadPoolExecutor(len(self.pods)) as at_once:  # some wait for what others bring
            list(at_once.map(Pod.start, self.pods.values()))
        for pod in self.pods.values():
            pod.wait_ready()
        self._publish()
        for replica_set in replica_sets:
            self._report(replica_set)

    def _report(self, replica_set):
        """Tell a ReplicaSet's owner that its pods are there."""
        meta, replicas = replica_set["metadata"], replica_set["spec"]["replicas"]
        counts = dict.fromkeys(("replicas", "readyReplicas", "availableReplicas", "fullyLabeledReplicas"), replicas)
        path = f"/apis/apps/v1/namespaces/{meta['namespace']}/replicasets/{meta['name']}/status"
        self._cluster.merge(path, {"status": {**counts, "observedGeneration": meta["generation"]}})

    def _pod(self, deployment):
        namespace = self._cluster.get(f"/api/v1/namespaces/{deployment['metadata']['namespace']}")
        return Pod(self._cluster, ztunnel.enrolled(deployment, namespace), self._images, next(self._addresses))

    def know(self, host, address):
        """Make the address of a host outside known to every pod."""
        self._world[host] = address
        self._resolve()

    def _resolve(self):
        names, waypoints = list(self._names()), self._waypoints()
        for pod in self.pods.values():
            pod.resolve(names, self._world)
            ztunnel.tell(pod, waypoints)

    def restart(self, which):
        """New pods in the place of those for which `which` is true."""
        gone = [self.pods.pop(key) for key in [key for key, pod in self.pods.items() if which(pod)]]
        with ThreadPoolExecutor(len(gone)) as at_once:  # each drains for a while
            list(at_once.map(Pod.stop, gone))
        self.sync()

    def beside(self, pod):
        """A new pod of the same Deployment, which nobody has waited for, and no Service knows."""
        path = f"/apis/apps/v1/namespaces/{pod.namespace}/deployments/{pod.workload}"
        new = self._pod(self._cluster.get(path))
        new.resolve(list(self._names()), self._world)
        ztunnel.tell(new, self._waypoints())
        new.start()
        return new

    def roll(self, pod):
        """A new pod in the place of one, as a rollout makes it: the old one ends once the new one is ready."""
        new = self.beside(pod)
        new.wait_ready()
        self.pods[pod.namespace, pod.workload] = new
        self._end(pod)
        return new

    def retire(self, pod):
        """End a pod whose Deployment is gone, as when it is scaled down."""
        del self.pods[pod.namespace, pod.workload]
        self._end(pod)

    def _end(self, pod):
        """A pod that no Service has any more ends once its callers have heard of it."""
        self._publish()
        # What a hook before the container's stop is for: callers may still know it.
        for caller in self.pods.values():
            if caller.proxied:
                until(f"{caller.workload} forgets {pod.name}", lambda: pod.address not in caller.endpoints(), pause=0.5)
        pod.stop()

    def provide_namespaces(self):
        """Give every namespace what a cluster's own controllers give it."""
        for namespace in self._cluster.items("/api/v1/namespaces"):
            self._provide_namespace(namespace["metadata"]["name"])

    def _provide_namespace(self, name):
        core = f"/api/v1/namespaces/{name}"
        self._cluster.ensure(f"{core}/serviceaccounts", {"metadata": {"name": "default"}})
        authority = {"metadata": {"name": "kube-root-ca.crt"}, "data": {"ca.crt": self._cluster.authority}}
        self._cluster.ensure(f"{core}/configmaps", authority)

    def _services(self):
        return [s for s in self._cluster.items("/api/v1/services") if s["spec"].get("selector")]

    def _publish(self):
        """One EndpointSlice a Service, with the pods that it selects."""
        for service in self._services():
            meta, spec = service["metadata"], service["spec"]
            pods = [
                p
                for p in self.pods.values()
                if p.namespace == meta["namespace"] and spec["selector"].items() <= p.labels.items()
            ]
            ports = {port.get("name"): port for port in spec["ports"]}
            slice = {
                "apiVersion": "discovery.k8s.io/v1",
                "kind": "EndpointSlice",
                "metadata": {
                    "name": meta["name"],
                    "labels": {**meta.get("labels", {}), "kubernetes.io/service-name": meta["name"]},
                },
                "addressType": "IPv4",
                "endpoints": [
                    {
                        "addresses": [pod.address],
                        "conditions": {"ready": pod.ready},
                        "nodeName": "node",
                        "targetRef": {"kind": "Pod", "namespace": pod.namespace, "name": pod.name},
                    }
                    for pod in pods
                ],
                "ports": [
                    {
                        "name": name or "",
                        "protocol": port.get("protocol", "TCP"),
                        "port": pods[0].port(port["targetPort"]) if pods else port["port"],
                    }
                    for name, port in ports.items()
                ],
            }
            path = f"/apis/discovery.k8s.io/v1/namespaces/{meta['namespace']}/endpointslices"
            self._cluster.put(f"{path}/{meta['name']}", slice)

    def _names(self):
        """(namespace, name, address) of every Service: what DNS would say.

        With no kube-proxy nothing but a sidecar knows a ClusterIP, so istiod's is that of its pod.
        """
        for service in self._services():
            name, namespace = service["metadata"]["name"], service["metadata"]["namespace"]
            pod = self.pods.get((namespace, name)) if name == "istiod" else None
            yield namespace, name, pod.address if pod else service["spec"]["clusterIP"]

    def _waypoints(self):
        """{(address, port) of a Service or ServiceEntry: address of its waypoint}."""
        name, found = "istio.io/use-waypoint", {}
        if not any(workload == "waypoint" for _, workload in self.pods):
            return found
        hosts = [
            (service["metadata"], [service["spec"]["clusterIP"]], [port["port"] for port in service["spec"]["ports"]])
            for service in self._services()
        ] + [
            (entry["metadata"], entry["spec"].get("addresses", []), [port["number"] for port in entry["spec"]["ports"]])
            for entry in self._cluster.items("/apis/networking.istio.io/v1/serviceentries")
        ]
        for meta, addresses, ports in hosts:
            namespace = self._cluster.get(f"/api/v1/namespaces/{meta['namespace']}")["metadata"].get("labels", {})
            waypoint = meta.get("labels", {}).get(name, namespace.get(name))
            pod = self.pods.get((meta["namespace"], waypoint))
            if pod and meta["name"] != waypoint:
                found.update(dict.fromkeys(itertools.product(addresses, ports), pod.address))
        return found
