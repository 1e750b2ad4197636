/** The group authentication.k8s.io: who somebody is, and tokens for service accounts. */
import type { TextTable } from '../texts.ts';

export const AUTHENTICATION: TextTable = {
  prefix: 'io.k8s.api.authentication.v1.',
  texts: {
    TokenReview: {
      itself: 'TokenReview asks the server whose a token is. It is answered and not stored.',
      spec: 'The question: which token it is about.',
      status: 'The answer: whose the token is.',
    },
    TokenReviewSpec: {
      itself: 'TokenReviewSpec is the question about a token.',
      audiences: 'Who asks: the token has to be meant for one of these. Missing: for the API server.',
      token: 'The token.',
    },
    TokenReviewStatus: {
      itself: 'TokenReviewStatus is the answer about a token.',
      audiences:
        'Those of the asked audiences that the token is meant for. Who asked for some has to see to it that one of them is here.',
      authenticated: 'True if the token is good and belongs to user.',
      error: 'Why the token could not be looked at.',
      user: 'Whose the token is.',
    },
    SelfSubjectReview: {
      itself: 'SelfSubjectReview asks the server who it takes you for. It is answered and not stored.',
      status: 'The answer: who you are.',
    },
    SelfSubjectReviewStatus: {
      itself: 'SelfSubjectReviewStatus is who the server takes you for.',
      userInfo: 'The user who has sent the request; the one that is impersonated, if so.',
    },
    UserInfo: {
      itself: 'UserInfo is what the server knows of a user.',
      extra: 'More about the user, from whoever has vouched for him.',
      groups: 'Groups that the user belongs to.',
      uid: 'Tells the user from others who had the same name at other times. Often empty.',
      username: 'Name of the user.',
    },
    TokenRequest: {
      itself:
        'TokenRequest asks for a token of a service account. It is sent to serviceaccounts/NAME/token, answered and not stored.',
      spec: 'What the token is to be good for.',
      status: 'The token.',
    },
    TokenRequestSpec: {
      itself: 'TokenRequestSpec says what a token is to be good for.',
      audiences: 'Whom the token is meant for: each has to refuse tokens that do not name it. Empty: the API server.',
      boundObjectRef: 'An object that the token is tied to: it is no longer good once that is gone.',
      expirationSeconds: 'Seconds that the token is to be good for: 600 to 2^32, 3600 by default.',
    },
    BoundObjectReference: {
      itself: 'BoundObjectReference names the object that a token is tied to: a Pod, a Secret or a Node.',
      apiVersion: 'Group and version of the object: v1.',
      kind: 'Kind of the object: Pod, Secret or Node.',
      name: 'Name of the object.',
      uid: 'UID of the object. If it is given, it has to be the right one.',
    },
    TokenRequestStatus: {
      itself: 'TokenRequestStatus holds the token.',
      expirationTimestamp: 'Until when the token is good.',
      token: 'The token. The server does not keep it.',
    },
  },
};
