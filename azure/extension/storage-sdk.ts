// What is used of the storage client. A module of its own, so that it can be loaded only where a machine has such disks: loading it takes most of a cold start.
export { AnonymousCredential, BlobSASPermissions, BlobServiceClient, generateBlobSASQueryParameters, SASProtocol } from '@azure/storage-blob';
