import { execFileSync } from 'node:child_process';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { inflateRawSync } from 'node:zlib';

export const PACKAGE = 'Azure.Bicep.Types.Az';

/** Fetches the NuGet package with the .NET SDK into `folder`; answers the path of its one assembly. */
export function fetchPackage(version: string, folder: string): string {
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, 'types.csproj'), `<Project Sdk="Microsoft.NET.Sdk">
  <PropertyGroup><TargetFramework>net8.0</TargetFramework></PropertyGroup>
  <ItemGroup><PackageDownload Include="${PACKAGE}" Version="[${version}]" /></ItemGroup>
</Project>
`);
  execFileSync('dotnet', ['restore', join(folder, 'types.csproj'), '--packages', join(folder, 'packages')], { stdio: ['ignore', 'ignore', 'inherit'] });
  return join(folder, 'packages', PACKAGE.toLowerCase(), version, 'lib', 'netstandard2.0', `${PACKAGE}.dll`);
}

/**
 * The resources of a .NET assembly, unpacked: in this package each is deflated JSON. They lie one after another, each behind its length in 4 bytes and on a
 * grid of 8 (ECMA-335, II.24.2.4 and II.25.3.3, the CLI header's Resources).
 */
export function* resourcesOf(assemblyPath: string): Generator<string> {
  const file = readFileSync(assemblyPath);
  const header = file.readUInt32LE(0x3c);
  const optional = header + 24;
  const directories = optional + (file.readUInt16LE(optional) === 0x10b ? 96 : 112);
  const sections = optional + file.readUInt16LE(header + 20);
  const count = file.readUInt16LE(header + 6);
  const place = (address: number): number => {
    for (let section = sections; section < sections + count * 40; section += 40) {
      const start = file.readUInt32LE(section + 12);
      if (address >= start && address < start + file.readUInt32LE(section + 16)) return address - start + file.readUInt32LE(section + 20);
    }
    throw new Error(`${assemblyPath} has no section for the address ${address}`);
  };
  const cli = place(file.readUInt32LE(directories + 14 * 8));
  const start = place(file.readUInt32LE(cli + 24));
  const end = start + file.readUInt32LE(cli + 28);
  for (let at = start; at < end;) {
    const length = file.readUInt32LE(at);
    yield inflateRawSync(file.subarray(at + 4, at + 4 + length)).toString('utf8');
    at = start + Math.ceil((at + 4 + length - start) / 8) * 8;
  }
}
