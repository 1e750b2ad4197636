/** The group certificates.k8s.io: requests for certificates. */
import type { TextTable } from '../texts.ts';

export const CERTIFICATES: TextTable = {
  prefix: 'io.k8s.api.certificates.v1.',
  texts: {
    CertificateSigningRequest: {
      itself:
        'CertificateSigningRequest asks for a certificate. Somebody approves or denies it, and then the signer that it names issues the certificate, which stands in the status.',
      spec: 'What is asked for, and by whom. It cannot be changed.',
      status: 'What was decided, and the certificate.',
    },
    CertificateSigningRequestSpec: {
      itself: 'CertificateSigningRequestSpec says what the certificate is to be like. It cannot be changed.',
      expirationSeconds:
        'Seconds that the certificate is to be good for; at least 600. Missing: what the signer gives. It may give less, and need not heed it.',
      extra: 'More about who asked. The server fills it in.',
      groups: 'Groups of who asked. The server fills it in.',
      request: 'The request as a PKCS#10 block "CERTIFICATE REQUEST" in PEM, and then base64.',
      signerName:
        'Who is to sign: a domain and a path, such as example.com/serving. Of Kubernetes there are kubernetes.io/kube-apiserver-client, kubernetes.io/kube-apiserver-client-kubelet and kubernetes.io/kubelet-serving.',
      uid: 'UID of who asked. The server fills it in.',
      usages:
        'What the key may be used for, such as "client auth", "server auth", "digital signature", "key encipherment"; at least one, each once. Signers refuse what they do not know.',
      username: 'Name of who asked. The server fills it in.',
    },
    CertificateSigningRequestStatus: {
      itself: 'CertificateSigningRequestStatus is what became of a request.',
      certificate:
        'The certificate, and those above it, as blocks "CERTIFICATE" in PEM, and then base64. Once it is there it cannot be changed.',
      conditions:
        'What was decided: "Approved" or "Denied", written through the subresource approval, and "Failed" if the signer could not issue the certificate. None of them goes away again.',
    },
    CertificateSigningRequestCondition: {
      itself: 'CertificateSigningRequestCondition is something that was decided about a request.',
      lastTransitionTime: 'When the status last became another one. The server fills it in if it is missing.',
      lastUpdateTime: 'When the condition was last written. The server fills it in if it is missing.',
      status: '"True" for Approved, Denied and Failed; others may be "False" or "Unknown" too.',
      type: '"Approved", "Denied" or "Failed"; signers may have others. Approved and Denied rule each other out.',
    },
  },
};
