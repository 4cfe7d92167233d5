// The key that wraps the vault's master key. Without it, or an escrow key, nothing can be restored (docs/keys.md): hence purge protection.

@description('Name of the key vault: letters, digits and hyphens.')
@minLength(3)
@maxLength(24)
param name string

@description('Name of the key in it.')
@minLength(1)
@maxLength(127)
param keyName string

@description('Azure region.')
param location string

@description('Tags of every resource.')
param tags object

@description('standard keeps keys in software, premium in a hardware security module.')
param sku ('standard' | 'premium')

@description('Size of the RSA key, in bits.')
param keyBits (3072 | 4096)

@description('Whether it can be reached from the internet (with a role, still), or by private endpoints alone.')
param publicNetworkAccess ('Enabled' | 'Disabled')

@description('Whether a lock keeps the key vault from being deleted.')
param deleteLock bool

resource keyVault 'Microsoft.KeyVault/vaults@2025-05-01' = {
  name: name
  location: location
  tags: tags
  properties: {
    tenantId: tenant().tenantId
    sku: { family: 'A', name: sku }
    enableRbacAuthorization: true
    enableSoftDelete: true
    softDeleteRetentionInDays: 90
    enablePurgeProtection: true
    publicNetworkAccess: publicNetworkAccess
    networkAcls: { bypass: 'None', defaultAction: publicNetworkAccess == 'Enabled' ? 'Allow' : 'Deny' }
  }
}

// No rotation policy: the version is pinned in the vault, so a new version does nothing until `holdfast key rotate` wraps with it.
resource key 'Microsoft.KeyVault/vaults/keys@2025-05-01' = {
  parent: keyVault
  name: keyName
  tags: tags
  properties: {
    kty: sku == 'premium' ? 'RSA-HSM' : 'RSA'
    keySize: keyBits
    keyOps: ['wrapKey', 'unwrapKey']
    attributes: { enabled: true, exportable: false }
  }
}

resource lock 'Microsoft.Authorization/locks@2020-05-01' = if (deleteLock) {
  name: 'opens-the-vault'
  scope: keyVault
  properties: { level: 'CanNotDelete', notes: 'Without this key nothing in the vault can be restored.' }
}

@description('Resource id of the key vault.')
output id string = keyVault.id

@description('Id of the key without a version: HOLDFAST_KEY_VAULT.')
output keyUri string = key.properties.keyUri
