/** Values that many kinds share, and what the server says of itself. */
import type { TextTable } from '../texts.ts';

export const VALUES: TextTable = {
  prefix: 'io.k8s.apimachinery.pkg.',
  texts: {
    'api.resource.Quantity': {
      itself:
        'Quantity is a number with a unit, such as 100m, 0.5, 1500, 2G or 512Mi. n, u and m are billionths, millionths and thousandths; k, M, G, T, P, E are powers of 1000, Ki, Mi, Gi, Ti, Pi, Ei powers of 1024; 1e3 is possible too. The server writes it in the shortest form.',
    },
    'util.intstr.IntOrString': {
      itself: 'IntOrString is a whole number or a text: a share such as 25%, or a name, such as that of a port.',
    },
    'runtime.RawExtension': {
      itself: 'RawExtension is an object of any kind, kept as it was sent.',
    },
    'version.Info': {
      itself:
        'Info is which version of Kubernetes the server speaks, and what it was built from. It is answered at /version.',
      buildDate: 'When the program was built.',
      compiler: 'What it was compiled with.',
      emulationMajor: 'First part of the version that the server behaves as, if it is not its own.',
      emulationMinor: 'Second part of the version that the server behaves as, if it is not its own.',
      gitCommit: 'Commit of the sources.',
      gitTreeState: '"clean" if the sources were those of the commit, "dirty" if they were changed.',
      gitVersion: 'The whole version, such as v1.33.1.',
      goVersion: 'Version of Go; programs in other languages name theirs.',
      major: 'First part of the version.',
      minCompatibilityMajor: 'First part of the oldest version that the server gets along with.',
      minCompatibilityMinor: 'Second part of the oldest version that the server gets along with.',
      minor: 'Second part of the version.',
      platform: 'System and processor that the program runs on, such as linux/amd64.',
    },
  },
};
