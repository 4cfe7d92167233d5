import { HoldfastError } from '../../errors/holdfast-error';
import type { BlockSource } from '../../vault/transfer/block-source';
import { parseFooter, vhdFooterBytes, type ParsedFooter } from '../../vault/format/vhd-footer';
import { DynamicVhd } from './dynamic-vhd';
import { ImageFile } from './image-file';
import { refuseForeignFormats, sampleBytes } from './magic';

export type ImageFormat = 'raw' | 'fixed-vhd' | 'dynamic-vhd';

/** A disk image file as the disk that it holds. */
export interface ImageSource extends BlockSource {
  readonly path: string;
  readonly format: ImageFormat;
  /** Bytes of the disk, without the footer or the tables of a VHD. */
  readonly sizeBytes: number;
  /** A block device, which cannot be cloned or seen to change as a file can. */
  readonly isDevice: boolean;
}

/**
 * Opens a disk image: raw (a file or a block device whose size is a positive multiple of 512), fixed VHD or dynamic VHD.
 * Throws IMAGE_NOT_FOUND, IMAGE_UNREADABLE, IMAGE_NOT_A_DISK, IMAGE_FORMAT_UNSUPPORTED or IMAGE_VHD_BROKEN.
 * It takes nothing but the path, so a worker thread opens its own.
 */
export async function openImage(path: string): Promise<ImageSource> {
  const file = await ImageFile.open(path);
  try {
    return await recognise(file);
  } catch (error) {
    await file.close();
    throw error;
  }
}

async function recognise(file: ImageFile): Promise<ImageSource> {
  if (file.sizeBytes === 0) throw new HoldfastError('IMAGE_NOT_A_DISK', `${file.path} is empty`, { data: { path: file.path } });
  const head = await sample(file, 0);
  const tail = await sample(file, Math.max(0, file.sizeBytes - sampleBytes));
  const parsed: ParsedFooter = tail.length < vhdFooterBytes ? { problem: 'the file is shorter than a footer' } : parseFooter(tail.subarray(tail.length - vhdFooterBytes));
  const namedVhd = /\.a?vhd$/i.test(file.path);
  if ('footer' in parsed) {
    const { footer } = parsed;
    if (footer.diskType === 'differencing') {
      throw new HoldfastError('IMAGE_FORMAT_UNSUPPORTED', `${file.path} is a differencing VHD: it holds only what changed since its parent`, { data: { path: file.path, format: 'differencing VHD' } });
    }
    if (footer.diskType === 'dynamic') {
      const disk = await DynamicVhd.open(file, footer);
      return imageSource(file, 'dynamic-vhd', disk.sizeBytes, (buffer, offset) => disk.readInto(buffer, offset));
    }
    if (footer.currentSizeBytes === file.sizeBytes - vhdFooterBytes) {
      return imageSource(file, 'fixed-vhd', footer.currentSizeBytes, (buffer, offset) => file.readFully(buffer, offset));
    }
    if (namedVhd) throw brokenVhd(file, `its footer speaks of ${footer.currentSizeBytes} bytes, the file has ${file.sizeBytes - vhdFooterBytes} before it`);
  }
  if (namedVhd && 'problem' in parsed) throw brokenVhd(file, parsed.problem);
  // A dynamic VHD begins with a copy of its footer: with that and no good footer at the end, its tail is cut off.
  if (head.toString('latin1', 0, 8) === 'conectix') throw brokenVhd(file, 'it begins like a dynamic VHD but does not end like one');
  refuseForeignFormats(file.path, head, tail);
  if (file.sizeBytes % 512 !== 0) {
    throw new HoldfastError('IMAGE_NOT_A_DISK', `${file.path} has ${file.sizeBytes} bytes, which is no multiple of 512`, { data: { path: file.path } });
  }
  return imageSource(file, 'raw', file.sizeBytes, (buffer, offset) => file.readFully(buffer, offset));
}

function imageSource(file: ImageFile, format: ImageFormat, sizeBytes: number, read: (buffer: Buffer, offset: number) => Promise<void>): ImageSource {
  return {
    path: file.path,
    format,
    sizeBytes,
    isDevice: file.isDevice,
    async readInto(buffer, offsetBytes) {
      if (!Number.isSafeInteger(offsetBytes) || offsetBytes < 0 || offsetBytes + buffer.length > sizeBytes) {
        throw new HoldfastError('INTERNAL', `Bytes ${offsetBytes} to ${offsetBytes + buffer.length} were asked of a disk of ${sizeBytes}`);
      }
      await read(buffer, offsetBytes);
    },
    verifyUnchanged: () => file.verifyUnchanged(),
    close: () => file.close(),
  };
}

async function sample(file: ImageFile, offset: number): Promise<Buffer> {
  const bytes = Buffer.alloc(Math.min(sampleBytes, file.sizeBytes - offset));
  await file.readFully(bytes, offset);
  return bytes;
}

function brokenVhd(file: ImageFile, problem: string): HoldfastError {
  return new HoldfastError('IMAGE_VHD_BROKEN', `The VHD ${file.path} is damaged: ${problem}`, { data: { path: file.path } });
}
