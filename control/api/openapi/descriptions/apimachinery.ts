/** Values of a form of their own, and the server's version. */
import type { TextTable } from './texts.ts';

export const APIMACHINERY: TextTable = {
  prefix: 'io.k8s.apimachinery.pkg.',
  texts: {
    'api.resource.Quantity': {
      itself:
        'Quantity is an amount: a number, or text of a number and a suffix. Suffixes by thousands are n, u, m, k, M, G, T, P and E, by 1024 Ki, Mi, Gi, Ti, Pi and Ei; exponents work too. "500m" of CPU is half a processor, "1Gi" of memory 1073741824 bytes. What is stored is rewritten to the shortest exact form.',
    },
    'runtime.RawExtension': {
      itself: 'RawExtension is a whole object of any kind, kept as it was given.',
    },
    'util.intstr.IntOrString': {
      itself: 'IntOrString is a number or text: a port by number or by name, an amount or a percentage such as "25%".',
    },
    'version.Info': {
      itself: 'Info is what the server tells of its version under /version.',
      buildDate: 'When the program was built.',
      compiler: 'What it was compiled with.',
      emulationMajor: 'Major part of the version that the server behaves as, where that is an older one.',
      emulationMinor: 'Minor part of the version that the server behaves as, where that is an older one.',
      gitCommit: 'Commit of the source that it was built from.',
      gitTreeState: '"clean" if the source was that of the commit, else "dirty".',
      gitVersion: 'The whole version, such as v1.33.1.',
      goVersion: 'Version of the language that it is written in, in the field that Kubernetes has for it.',
      major: 'Major part of the version of the API.',
      minCompatibilityMajor: 'Major part of the oldest version that the server works together with.',
      minCompatibilityMinor: 'Minor part of the oldest version that the server works together with.',
      minor: 'Minor part of the version of the API.',
      platform: 'Operating system and processor that it runs on, such as linux/amd64.',
    },
  },
};
