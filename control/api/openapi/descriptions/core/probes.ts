/** Probes and lifecycle hooks of containers. */
import type { TextTable } from '../texts.ts';
import { CORE_V1 } from './prefix.ts';

export const PROBES: TextTable = {
  prefix: CORE_V1,
  texts: {
    Probe: {
      itself:
        'Probe is a check of a container that the node repeats. It does one of exec, grpc, httpGet and tcpSocket.',
      exec: 'Runs a command in the container. Exit code 0 is a success.',
      failureThreshold:
        'How many failures in a row count as failed. The default is 3, the least 1. A container whose startup or liveness probe failed is stopped, and started again if restartPolicy says so; one whose readiness probe failed is not ready.',
      grpc: 'Asks a gRPC health service. The answer SERVING is a success.',
      httpGet: 'Sends a GET request. A status from 200 to 399 is a success.',
      initialDelaySeconds: 'Seconds from the start of the container to the first check. The default is 0.',
      periodSeconds: 'Seconds from one check to the next. The default is 10, the least 1.',
      successThreshold:
        'How many successes in a row, after a failure, count as well again. The default is 1; for liveness and startup probes it cannot be another.',
      tcpSocket: 'Opens a TCP connection. That it opens is a success.',
      terminationGracePeriodSeconds:
        "Seconds that the container has to end when this probe failed, in place of the pod's; at least 1. Readiness probes cannot have it, as they stop nothing.",
      timeoutSeconds: 'Seconds after which a check without an answer has failed. The default is 1, the least 1.',
    },
    ExecAction: {
      itself: 'ExecAction runs a command in a container.',
      command:
        'Program and arguments, from the root of the container. No shell is involved: pipes and the like need one that is called by name. Exit code 0 is a success.',
    },
    GRPCAction: {
      itself: 'GRPCAction calls the health check of gRPC (grpc.health.v1.Health/Check) at the address of the pod.',
      port: 'Number of the port, 1 to 65535.',
      service: 'Name of the service that is asked about. The default is empty, which means the whole server.',
    },
    HTTPGetAction: {
      itself: 'HTTPGetAction sends an HTTP GET request.',
      host: 'Host that is called; the address of the pod by default. For another name in the request set the header Host.',
      httpHeaders: 'Headers of the request. A name may be there more than once.',
      path: 'Path and query. The default is "/".',
      port: 'Port by number, 1 to 65535, or by the name of a port of the container.',
      scheme: '"HTTP" (the default) or "HTTPS". Certificates are not checked.',
    },
    HTTPHeader: {
      itself: 'HTTPHeader is one header of a request.',
      name: 'Name of the header. Capitals make no difference.',
      value: 'Its value.',
    },
    TCPSocketAction: {
      itself: 'TCPSocketAction opens a TCP connection.',
      host: 'Host that is called; the address of the pod by default.',
      port: 'Port by number, 1 to 65535, or by the name of a port of the container.',
    },
    SleepAction: {
      itself: 'SleepAction waits.',
      seconds: 'Number of seconds. It must not be larger than the time that the pod has to end.',
    },
    Lifecycle: {
      itself: 'Lifecycle says what is done as a container starts and as it is stopped.',
      postStart:
        'Done right after the container was started, beside its program. Until it is done the container does not count as running; if it fails, the container is stopped and its restart policy applies.',
      preStop:
        'Done before the container gets the signal to end, when it is stopped on purpose or for a failed probe, not when it ends by itself. The time counts towards its grace period.',
      stopSignal:
        'Signal that asks the container to end, in place of the one of the image. It is off in this version: the server drops it.',
    },
    LifecycleHandler: {
      itself: 'LifecycleHandler is what is done. Just one of its fields is set.',
      exec: 'Runs a command in the container.',
      httpGet: 'Sends a GET request.',
      sleep: 'Waits for some seconds.',
      tcpSocket: 'Left from earlier versions. Do not use it: Kubernetes lets such a hook fail.',
    },
  },
};
