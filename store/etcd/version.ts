/** The version of etcd whose API this is; clients look at it to know what they may ask for. */
export const API_VERSION = '3.5.21';
/** The level on which all members of an etcd agree; ours always speak the same. */
export const API_LEVEL = '3.5';
